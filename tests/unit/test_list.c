/* SPDX-License-Identifier: Apache-2.0 */
/* base/list: order, removal, the zeroed state. */
#include "base/list.h"
#include "base/own.h"
#include "test.h"

struct item {
    int number;
    struct list_node node;
};

static int number_of(struct list_node *n)
{
    return n == NULL ? -1 : container_of(n, struct item, node)->number;
}

static void keeps_order(void)
{
    struct list l = {0};
    struct item items[5] = {0};
    int expected = 0;

    CHECK(list_first(&l) == NULL && list_pop(&l) == NULL);
    for (int i = 0; i < 5; i++) {
        items[i].number = i;
        CHECK(!list_linked(&items[i].node));
        list_push(&l, &items[i].node);
        CHECK(list_linked(&items[i].node));
    }
    for (struct list_node *n = list_first(&l); n != NULL; n = list_next(&l, n))
        CHECK(number_of(n) == expected++);
    CHECK(expected == 5);
    for (int i = 0; i < 5; i++)
        CHECK(number_of(list_pop(&l)) == i);
    CHECK(list_first(&l) == NULL);
}

static void removes_anywhere(void)
{
    for (int gone = 0; gone < 3; gone++) {
        struct list l = {0};
        struct item items[3] = {{0}, {1}, {2}};

        for (int i = 0; i < 3; i++)
            list_push(&l, &items[i].node);
        list_remove(&items[gone].node);
        list_remove(&items[gone].node); /* harmless */
        CHECK(items[gone].node.next == NULL && items[gone].node.prev == NULL);
        for (int i = 0; i < 3; i++) {
            if (i != gone)
                CHECK(number_of(list_pop(&l)) == i);
        }
        CHECK(list_pop(&l) == NULL);
        list_push(&l, &items[gone].node);
        CHECK(number_of(list_first(&l)) == gone);
        CHECK(list_next(&l, &items[gone].node) == NULL);
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"keeps order",      keeps_order     },
        {"removes anywhere", removes_anywhere},
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
