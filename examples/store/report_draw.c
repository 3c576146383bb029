#include "report.h"

#include "order.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* The report as an SVG. Lengths are its units, pixels where it is not scaled. */
enum {
    WIDTH = 960,
    MARGIN = 40,
    HEAD = 92,       /* title and subtitle */
    PANEL_HEAD = 44, /* a panel's title */
    PLOT_LEFT = 96,  /* room for the labels of an axis */
    PLOT_HEIGHT = 220,
    NAMES = 290,  /* room for the names of rows */
    VALUES = 170, /* and behind them for their numbers */
    ROW = 26,
    BAR = 16,
    FOOT = 44,
    HOURS = 24
};

/* Without CSS variables, which not everything that shows SVG knows. */
static const char style[] =
    "<style>\n"
    "  text { font: 13px system-ui, 'DejaVu Sans', sans-serif; fill: #1c2430; }\n"
    "  .title { font-size: 24px; font-weight: 600; }\n"
    "  .panel { font-size: 16px; font-weight: 600; }\n"
    "  .faint { fill: #5b6675; }\n"
    "  .right { text-anchor: end; }\n"
    "  .middle { text-anchor: middle; }\n"
    "  .paper { fill: #ffffff; }\n"
    "  .bar { fill: #2f6fb3; }\n"
    "  .back { fill: #c0562b; }\n"
    "  .line { stroke: #dde2e8; }\n"
    "  .axis { stroke: #5b6675; }\n"
    "  @media (prefers-color-scheme: dark) {\n"
    "    text { fill: #e6eaf0; }\n"
    "    .faint { fill: #9aa6b5; }\n"
    "    .paper { fill: #14181f; }\n"
    "    .bar { fill: #6aa9e9; }\n"
    "    .back { fill: #e58a5f; }\n"
    "    .line { stroke: #323a46; }\n"
    "    .axis { stroke: #9aa6b5; }\n"
    "  }\n"
    "</style>\n";

static double money(int64_t amount)
{
    return (double)amount / PRICE_UNITS;
}

/* Text is data: what means something in XML is written so that it does not. */
static void print_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        default:
            fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
        }
    }
}

static void draw_text(FILE *out, double x, double y, const char *class, const char *text)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class);
    print_text(out, text);
    fputs("</text>\n", out);
}

/* 12,345 or, with decimals, 12,345.67 */
static const char *grouped(double value, int decimals, char text[48])
{
    char plain[40];
    snprintf(plain, sizeof plain, "%.*f", decimals, fabs(value));
    size_t whole = strcspn(plain, "."), used = 0;
    if (value < 0) {
        text[used++] = '-';
    }
    for (size_t i = 0; i < strlen(plain); i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0) {
            text[used++] = ',';
        }
        text[used++] = plain[i];
    }
    text[used] = '\0';
    return text;
}

/* From where to where the bars of a panel go, zero within. */
struct scale {
    double least, most;
    double step; /* between marks: 1, 2 or 5 times a power of ten */
};

static struct scale scale_of(const struct report_panel *panel)
{
    struct scale scale = {0};
    for (int i = 0; i < panel->row_count; i++) {
        scale.least = fmin(scale.least, money(panel->rows[i].amount));
        scale.most = fmax(scale.most, money(panel->rows[i].amount));
    }
    if (scale.most - scale.least <= 0) {
        scale.most = 1;
    }
    double rough = (scale.most - scale.least) / 6, power = pow(10, floor(log10(rough)));
    double times = rough / power;
    scale.step = power * (times > 5 ? 10 : times > 2 ? 5 : times > 1 ? 2 : 1);
    return scale;
}

static double part(const struct scale *scale, double value)
{
    return (value - scale->least) / (scale->most - scale->least);
}

static void draw_bar(FILE *out, double x, double y, double width, double height, bool is_negative,
                     const char *what)
{
    fprintf(out,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"2\" class=\"%s\">", x,
            y, width, height, is_negative ? "back" : "bar");
    fputs("<title>", out);
    print_text(out, what);
    fputs("</title></rect>\n", out);
}

static void draw_amount_axis(FILE *out, const struct scale *scale, double top)
{
    char text[48];
    int marks = (int)lround((scale->most - scale->least) / scale->step);
    for (int i = 0; i <= marks; i++) {
        double value = scale->least + i * scale->step;
        double y = top + PLOT_HEIGHT * (1 - part(scale, value));
        fprintf(out, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n",
                PLOT_LEFT, WIDTH - MARGIN, y, y, fabs(value) < scale->step / 2 ? "axis" : "line");
        draw_text(out, PLOT_LEFT - 8, y + 4, "faint right",
                  grouped(value, scale->step < 1 ? 2 : 0, text));
    }
    fprintf(out,
            "<text transform=\"translate(%d %.1f) rotate(-90)\" class=\"faint middle\">amount"
            "</text>\n",
            MARGIN - 12, top + PLOT_HEIGHT / 2.0);
}

/* All hours of the day, also those without a sale. Where it ends. */
static double draw_hours(FILE *out, const struct report_panel *panel, double top)
{
    struct scale scale = scale_of(panel);
    scale.most = ceil(scale.most / scale.step) * scale.step;
    scale.least = floor(scale.least / scale.step) * scale.step;
    double slot = (double)(WIDTH - MARGIN - PLOT_LEFT) / HOURS;
    draw_text(out, MARGIN, top + 20, "panel", panel->title);
    top += PANEL_HEAD;
    draw_amount_axis(out, &scale, top);
    for (int i = 0; i < panel->row_count; i++) {
        const struct report_row *row = &panel->rows[i];
        char what[160], amount[48];
        int hour = 0;
        sscanf(row->name, "%d", &hour);
        double value = money(row->amount), high = part(&scale, fmax(value, 0));
        double low = part(&scale, fmin(value, 0));
        snprintf(what, sizeof what, "%02d:00: %s, %lld %s", hour, grouped(value, 2, amount),
                 (long long)row->count, panel->counted);
        draw_bar(out, PLOT_LEFT + slot * (hour + 0.15), top + PLOT_HEIGHT * (1 - high), slot * 0.7,
                 PLOT_HEIGHT * (high - low), value < 0, what);
    }
    for (int hour = 0; hour < HOURS; hour++) {
        char text[8];
        snprintf(text, sizeof text, "%d", hour);
        draw_text(out, PLOT_LEFT + slot * (hour + 0.5), top + PLOT_HEIGHT + 18, "faint middle",
                  text);
    }
    draw_text(out, (PLOT_LEFT + WIDTH - MARGIN) / 2.0, top + PLOT_HEIGHT + 38, "faint middle",
              "hour of the order");
    return top + PLOT_HEIGHT + 38;
}

static void draw_row(FILE *out, const struct report_panel *panel, const struct report_row *row,
                     const struct scale *scale, double y)
{
    double width = WIDTH - MARGIN - NAMES - VALUES - MARGIN, value = money(row->amount);
    double low = part(scale, fmin(value, 0)), high = part(scale, fmax(value, 0));
    char what[200], amount[48], count[48];
    snprintf(what, sizeof what, "%s: %s, %s %s", row->name, grouped(value, 2, amount),
             grouped((double)row->count, 0, count), panel->counted);
    draw_text(out, MARGIN + NAMES - 12, y + 13, "right", row->name);
    draw_bar(out, MARGIN + NAMES + width * low, y, fmax(width * (high - low), 1), BAR, value < 0,
             what);
    draw_text(out, WIDTH - MARGIN - 70, y + 13, "right", amount);
    draw_text(out, WIDTH - MARGIN, y + 13, "faint right", count);
}

/* A bar to the right for each row, with its numbers. Where it ends. */
static double draw_rows(FILE *out, const struct report_panel *panel, double top)
{
    struct scale scale = scale_of(panel);
    double zero = MARGIN + NAMES + (WIDTH - MARGIN - NAMES - VALUES - MARGIN) * part(&scale, 0);
    draw_text(out, MARGIN, top + 20, "panel", panel->title);
    draw_text(out, WIDTH - MARGIN - 70, top + 20, "faint right", "amount");
    draw_text(out, WIDTH - MARGIN, top + 20, "faint right", panel->counted);
    top += PANEL_HEAD - 8;
    for (int i = 0; i < panel->row_count; i++) {
        draw_row(out, panel, &panel->rows[i], &scale, top + i * ROW);
    }
    double end = top + panel->row_count * ROW;
    fprintf(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" class=\"axis\"/>\n", zero,
            zero, top - 4, end - 4);
    return end;
}

void report_draw(const struct report *report, FILE *out)
{
    char amount[48], count[48], text[160];
    int rows = report->products.row_count + report->countries.row_count;
    int height = HEAD + PANEL_HEAD + PLOT_HEIGHT + 38 + 3 * FOOT + 2 * PANEL_HEAD + rows * ROW;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d "
            "%d\" role=\"img\" aria-label=\"Sales of the store\">\n%s<rect width=\"100%%\" "
            "height=\"100%%\" class=\"paper\"/>\n",
            WIDTH, height, WIDTH, height, style);
    draw_text(out, MARGIN, 50, "title", "Sales of the store");
    snprintf(
        text, sizeof text, "%s in %s orders and returns; what was short or cancelled is not sold",
        grouped(money(report->amount), 2, amount), grouped((double)report->order_count, 0, count));
    draw_text(out, MARGIN, 76, "faint", text);
    double end = draw_hours(out, &report->hours, HEAD);
    end = draw_rows(out, &report->products, end + FOOT);
    draw_rows(out, &report->countries, end + FOOT);
    fputs("</svg>\n", out);
}
