#include "api/api.h"

#include <stdio.h>

/* Prints the rows of docs/protocol.md's table that api_table[] says. */
int main(void)
{
    for (int i = 0; i < api_table_count; i++) {
        const struct wire_api_info *info = wire_api_find(api_table[i].key);
        printf("| %d | %s | %d–%d |", api_table[i].key, info->name, api_table[i].lowest_version,
               api_table[i].highest_version);
        if (info->flexible_version < 0 || info->flexible_version > api_table[i].highest_version) {
            printf(" — |\n");
        } else {
            printf(" %d |\n", info->flexible_version);
        }
    }
    return 0;
}
