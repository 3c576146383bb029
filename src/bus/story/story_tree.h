#ifndef TIDINGS_BUS_STORY_STORY_TREE_H
#define TIDINGS_BUS_STORY_STORY_TREE_H

#include "bus/story/story.h"

/*
 * The tree of causes of the story's events: finds each one's parent and puts the events into the
 * order of the tree, parents first, children by time. Pure.
 *
 * The parent is, in this order:
 * 1. the event whose id it names as its cause, within the same correlation; of several of that id
 *    the one of its own source counts as little as any other: the first is taken and it is said
 *    that it is a guess. One of another correlation is a guess, too;
 * 2. the first event of its trace: that one is of the same trace is recorded, that it is the cause
 *    is a guess;
 * 3. the first event of its correlation, or the one whose id that is: the same;
 * 4. when neither names anything: the event before it of the same key, a guess.
 * An event that was published twice (one id and source) hangs beside its first copy. A circle is
 * cut at a guess, and one of recorded causes at its oldest event.
 */
void story_tree(struct story *story);

#endif
