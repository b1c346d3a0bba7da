/* SPDX-License-Identifier: Apache-2.0 */
/* base/heap: against a plain search, over many random operations. */
#include "base/heap.h"
#include "base/own.h"
#include "test.h"

enum {
    NODES = 300,
    ROUNDS = 20000,
};

static unsigned state = 42;

static unsigned draw(unsigned below)
{
    state = state * 1103515245 + 12345;
    return (state >> 16) % below;
}

struct model {
    struct heap_node nodes[NODES];
    unsigned long long came[NODES]; /* 0: outside */
    unsigned long long clock;
};

static const struct heap_node *model_min(const struct model *m)
{
    const struct heap_node *min = NULL;
    unsigned long long min_came = 0;

    for (size_t i = 0; i < NODES; i++) {
        const struct heap_node *n = &m->nodes[i];

        if (m->came[i] == 0)
            continue;
        if (min == NULL || n->key < min->key || (n->key == min->key && m->came[i] < min_came)) {
            min = n;
            min_came = m->came[i];
        }
    }
    return min;
}

static void behaves_like_a_search(void)
{
    struct heap h = {0};
    static struct model m;

    for (int round = 0; round < ROUNDS; round++) {
        size_t i = draw(NODES);
        /* grow for a while, then shrink, and so on */
        bool is_growing = round / 1000 % 2 == 0;

        if (draw(10) < (is_growing ? 7U : 3U)) {
            heap_put(&h, &m.nodes[i], draw(50)); /* few keys: many ties */
            m.came[i] = ++m.clock;
        } else if (draw(2) == 0) {
            heap_remove(&h, &m.nodes[i]);
            m.came[i] = 0;
        } else if (heap_min(&h) != NULL) {
            struct heap_node *min = heap_min(&h);

            heap_remove(&h, min);
            m.came[min - m.nodes] = 0;
        }
        CHECK(heap_min(&h) == model_min(&m));
        CHECK(heap_has(&m.nodes[i]) == (m.came[i] != 0));
    }
    heap_done(&h);
}

static void leaves_sorted(void)
{
    struct heap h = {0};
    static struct heap_node nodes[5000];
    uint64_t before = 0;

    for (size_t i = 0; i < COUNT_OF(nodes); i++)
        heap_put(&h, &nodes[i], draw(100000));
    CHECK(h.count == COUNT_OF(nodes));
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        struct heap_node *min = heap_min(&h);

        CHECK(min->key >= before);
        before = min->key;
        heap_remove(&h, min);
        CHECK(!heap_has(min));
        heap_remove(&h, min); /* harmless */
    }
    CHECK(heap_min(&h) == NULL);
    heap_done(&h);
}

static void moves_to_the_end_of_its_key(void)
{
    struct heap h = {0};
    struct heap_node a = {0}, b = {0};

    heap_put(&h, &a, 5);
    heap_put(&h, &b, 5);
    CHECK(heap_min(&h) == &a);
    heap_put(&h, &a, 5);
    CHECK(heap_min(&h) == &b && h.count == 2);
    heap_put(&h, &a, 1);
    CHECK(heap_min(&h) == &a);
    heap_done(&h);
    CHECK(heap_min(&h) == NULL);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"behaves like a search",       behaves_like_a_search      },
        {"leaves sorted",               leaves_sorted              },
        {"moves to the end of its key", moves_to_the_end_of_its_key},
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
