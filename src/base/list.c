/* SPDX-License-Identifier: Apache-2.0 */
/* The intrusive list: a ring through its head, so that removal needs no list. */
#include "base/list.h"

#include <assert.h>

void list_push(struct list *l, struct list_node *n)
{
    struct list_node *head = &l->head;

    assert(!list_linked(n));
    if (head->next == NULL)
        head->next = head->prev = head;
    n->next = head;
    n->prev = head->prev;
    head->prev->next = n;
    head->prev = n;
}

void list_push_first(struct list *l, struct list_node *n)
{
    struct list_node *head = &l->head;

    assert(!list_linked(n));
    if (head->next == NULL)
        head->next = head->prev = head;
    n->prev = head;
    n->next = head->next;
    head->next->prev = n;
    head->next = n;
}

void list_remove(struct list_node *n)
{
    if (!list_linked(n))
        return;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->next = n->prev = NULL;
}

struct list_node *list_first(const struct list *l)
{
    return l->head.next == &l->head ? NULL : l->head.next;
}

struct list_node *list_next(const struct list *l, const struct list_node *n)
{
    return n->next == &l->head ? NULL : n->next;
}

struct list_node *list_pop(struct list *l)
{
    struct list_node *first = list_first(l);

    if (first != NULL)
        list_remove(first);
    return first;
}
