/*
 * test_map.c - the hash map against a plain array of flags, with hashes that collide on purpose.
 */
#include "tests/lib/test.h"

#include "common/map.h"

#define KEYS 300

static uint64_t random_state;

/* xorshift64: any reproducible sequence will do. */
static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static bool same_number(const void *value, const void *wanted)
{
    return *(const int *)value == *(const int *)wanted;
}

/* Few different hashes, all near the end of a table: clusters are long and wrap around. */
static uint64_t colliding_hash(int number)
{
    return UINT64_MAX - (uint64_t)(number % 7);
}

/* Nothing is found in or removed from an empty map. */
static void test_map_empty_finds_nothing(void **state)
{
    (void)state;
    struct map map = {0};
    int number = 1;
    assert_null(map_find(&map, 1, same_number, &number));
    assert_false(map_remove(&map, 1, &number));
    map_done(&map);
}

/* Equal hashes do not make values equal: match decides. */
static void test_map_equal_hash_asks_match(void **state)
{
    (void)state;
    struct map map = {0};
    int numbers[] = {1, 2};
    const int other = 3;
    map_insert(&map, 9, &numbers[0]);
    map_insert(&map, 9, &numbers[1]);
    assert_ptr_equal(map_find(&map, 9, same_number, &numbers[0]), &numbers[0]);
    assert_ptr_equal(map_find(&map, 9, same_number, &numbers[1]), &numbers[1]);
    assert_null(map_find(&map, 9, same_number, &other));
    map_done(&map);
}

/* Removal goes by pointer: an equal value at another address stays. */
static void test_map_remove_takes_this_pointer_only(void **state)
{
    (void)state;
    struct map map = {0};
    int inside = 5;
    const int lookalike = 5;
    map_insert(&map, 1, &inside);
    assert_false(map_remove(&map, 1, &lookalike));
    assert_int_equal(map.count, 1);
    assert_true(map_remove(&map, 1, &inside));
    assert_false(map_remove(&map, 1, &inside));
    assert_int_equal(map.count, 0);
    map_done(&map);
}

static void run_random(uint64_t (*hash)(int number), uint64_t seed)
{
    struct map map = {0};
    int numbers[KEYS];
    bool inside[KEYS] = {false};
    size_t count = 0;
    random_state = seed;
    for (int i = 0; i < KEYS; i++) {
        numbers[i] = i;
    }
    for (int step = 0; step < 20000; step++) {
        int chosen = (int)(random_next() % KEYS);
        if (inside[chosen]) {
            assert_true(map_remove(&map, hash(chosen), &numbers[chosen]));
            count--;
        } else {
            map_insert(&map, hash(chosen), &numbers[chosen]);
            count++;
        }
        inside[chosen] = !inside[chosen];
        assert_int_equal(map.count, count);
        /* All of them from time to time, else one: removal moves the neighbours. */
        int first = step % 50 == 0 ? 0 : (chosen + 7) % KEYS;
        int last = step % 50 == 0 ? KEYS - 1 : first;
        for (int i = first; i <= last; i++) {
            assert_ptr_equal(map_find(&map, hash(i), same_number, &numbers[i]),
                             inside[i] ? &numbers[i] : NULL);
        }
    }
    map_done(&map);
}

static uint64_t spread_hash(int number)
{
    return map_hash_bytes(&number, sizeof number);
}

/* Any sequence of insertions and removals leaves exactly the values inside that should be. */
static void test_map_random_changes_match_model(void **state)
{
    (void)state;
    run_random(spread_hash, 1);
    run_random(colliding_hash, 2);
}

/* The hash of bytes depends on every byte and on the length. */
static void test_map_hash_bytes_sees_every_byte(void **state)
{
    (void)state;
    char text[] = "abcdefgh";
    const uint64_t original = map_hash_bytes(text, 8);
    for (size_t i = 0; i < 8; i++) {
        text[i] ^= 1;
        assert_true(map_hash_bytes(text, 8) != original);
        text[i] ^= 1;
    }
    assert_true(map_hash_bytes(text, 8) == original);
    assert_true(map_hash_bytes(text, 7) != original);
    assert_true(map_hash_bytes("\0", 1) != map_hash_bytes("\0\0", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_empty_finds_nothing),
        cmocka_unit_test(test_map_equal_hash_asks_match),
        cmocka_unit_test(test_map_remove_takes_this_pointer_only),
        cmocka_unit_test(test_map_random_changes_match_model),
        cmocka_unit_test(test_map_hash_bytes_sees_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
