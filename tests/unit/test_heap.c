/*
 * test_heap.c - the timer heap against a plain array that is searched from end to end.
 */
#include "tests/lib/test.h"

#include "common/heap.h"

#define NODES 200

static uint64_t random_state;

/* xorshift64: any reproducible sequence will do. */
static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t earliest_due_ms(const struct heap_node *nodes)
{
    uint64_t earliest_ms = UINT64_MAX;
    for (size_t i = 0; i < NODES; i++) {
        earliest_ms = nodes[i].due_ms < earliest_ms ? nodes[i].due_ms : earliest_ms;
    }
    return earliest_ms;
}

/* An empty heap has no first node, and taking out what is not inside changes nothing. */
static void test_heap_empty_has_no_first(void **state)
{
    (void)state;
    struct heap heap = {0};
    struct heap_node node;
    heap_node_init(&node);
    assert_null(heap_first(&heap));
    heap_set(&heap, &node, UINT64_MAX);
    assert_null(heap_first(&heap));
    heap_set(&heap, &node, 5);
    assert_ptr_equal(heap_first(&heap), &node);
    heap_set(&heap, &node, UINT64_MAX);
    assert_null(heap_first(&heap));
    assert_true(node.index == HEAP_OUTSIDE);
    heap_done(&heap);
}

/* After any sequence of insertions, moves and removals the first node is an earliest one, every
 * node knows its place, and exactly those with a due time are inside. */
static void test_heap_random_changes_keep_earliest_first(void **state)
{
    (void)state;
    struct heap heap = {0};
    struct heap_node nodes[NODES];
    random_state = 42;
    for (size_t i = 0; i < NODES; i++) {
        heap_node_init(&nodes[i]);
    }
    for (int step = 0; step < 20000; step++) {
        uint64_t choice = random_next();
        uint64_t due_ms = choice % 3 == 0 ? UINT64_MAX : choice / 3 % 1000;
        heap_set(&heap, &nodes[random_next() % NODES], due_ms);

        const struct heap_node *first = heap_first(&heap);
        assert_true((first == NULL ? UINT64_MAX : first->due_ms) == earliest_due_ms(nodes));
        size_t inside = 0;
        for (size_t i = 0; i < NODES; i++) {
            if (nodes[i].index != HEAP_OUTSIDE) {
                inside++;
                assert_ptr_equal(heap.nodes[nodes[i].index], &nodes[i]);
                assert_true(nodes[i].due_ms != UINT64_MAX);
                if (nodes[i].index > 0) {
                    assert_true(heap.nodes[(nodes[i].index - 1) / 2]->due_ms <= nodes[i].due_ms);
                }
            } else {
                assert_true(nodes[i].due_ms == UINT64_MAX);
            }
        }
        assert_int_equal(inside, heap.count);
    }
    heap_done(&heap);
}

/* Taking the first until nothing is left gives all nodes in the order of their times. */
static void test_heap_drained_is_sorted(void **state)
{
    (void)state;
    struct heap heap = {0};
    struct heap_node nodes[NODES];
    random_state = 7;
    for (size_t i = 0; i < NODES; i++) {
        heap_node_init(&nodes[i]);
        heap_set(&heap, &nodes[i], random_next() % 50);
    }
    uint64_t last_ms = 0;
    for (size_t i = 0; i < NODES; i++) {
        struct heap_node *first = heap_first(&heap);
        assert_non_null(first);
        assert_true(first->due_ms >= last_ms);
        last_ms = first->due_ms;
        heap_set(&heap, first, UINT64_MAX);
    }
    assert_null(heap_first(&heap));
    heap_done(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap_empty_has_no_first),
        cmocka_unit_test(test_heap_random_changes_keep_earliest_first),
        cmocka_unit_test(test_heap_drained_is_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
