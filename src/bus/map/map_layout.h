#ifndef TIDINGS_BUS_MAP_MAP_LAYOUT_H
#define TIDINGS_BUS_MAP_MAP_LAYOUT_H

#include "bus/map/map_graph.h"

/*
 * Where everything of a flow map is drawn: columns from left to right along the flow, who publishes
 * before what is published before who consumes it, at most MAP_RANKS_MAX of them; within a column
 * in the order in which the fewest lines cross (a few sweeps by barycentres). What causes what does
 * not count. Flows that go in circles are drawn back where a circle closes.
 *
 * The same graph gives the same picture. Time grows with nodes and edges times a small number.
 */
enum {
    MAP_NODE_WIDTH = 190,
    MAP_NODE_HEIGHT = 46,
    MAP_COLUMN_GAP = 112,
    MAP_ROW_GAP = 18,
    MAP_LINE_HEIGHT = 16, /* of a line that goes past a column */
    MAP_MARGIN = 24,
    MAP_HEAD = 34, /* above it all, for a line of text */
};

/* Fills rank, place, x and y (the middle) of each node, where edges go past columns, and the
 * graph's width, height and ranks. */
void map_layout(struct map_graph *graph);

#endif
