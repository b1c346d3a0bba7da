/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list. A node is in one list at most; an unlinked node is zeroed. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *next, *prev;
};

struct list {
    struct list_node head; /* zeroed is an empty list too */
};

void list_push(struct list *l, struct list_node *n); /* at the end */
void list_push_first(struct list *l, struct list_node *n);
void list_remove(struct list_node *n);              /* harmless when not linked */
struct list_node *list_first(const struct list *l); /* or NULL */
struct list_node *list_next(const struct list *l, const struct list_node *n);
struct list_node *list_pop(struct list *l); /* first, or NULL */

static inline bool list_linked(const struct list_node *n)
{
    return n->next != NULL;
}

#endif
