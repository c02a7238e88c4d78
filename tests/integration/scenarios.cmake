# The stories of `assent demo run`, small, each in a demo of its own; and one while somebody else kills the daemons.
foreach(case IN ITEMS checkout-retry delivery expired-card reservation saga upgrade command torment
        killed killed-delivery killed-expired-card killed-reservation killed-saga killed-upgrade)
    string(REPLACE "-" "_" name "${case}")
    add_test(NAME test_scenario_${name}
        COMMAND bash "${CMAKE_CURRENT_LIST_DIR}/test_scenarios.sh" ${case})
    set(labels integration scenarios)
    if(NOT case MATCHES "^(checkout-retry|upgrade|killed)$")
        list(APPEND labels story) # not run under ASan
    endif()
    set_tests_properties(test_scenario_${name} PROPERTIES
        LABELS "${labels}" TIMEOUT 300 ENVIRONMENT "${ASSENT_TEST_ENVIRONMENT}")
endforeach()
