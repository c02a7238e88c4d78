# What users outside this repository rely on: what is installed, the examples, and the API's description. Python is Debian's, which has
# python3-jsonschema.
set(python_environment "${ASSENT_TEST_ENVIRONMENT};PYTHONDONTWRITEBYTECODE=1")

add_test(NAME test_openapi_server
    COMMAND /usr/bin/python3 "${CMAKE_CURRENT_LIST_DIR}/test_openapi_server.py")
set_tests_properties(test_openapi_server PROPERTIES
    LABELS integration TIMEOUT 300 ENVIRONMENT "${python_environment}")

add_test(NAME test_stream
    COMMAND /usr/bin/python3 "${CMAKE_CURRENT_LIST_DIR}/test_stream.py")
set_tests_properties(test_stream PROPERTIES
    LABELS integration TIMEOUT 300 ENVIRONMENT "${python_environment}")

# Documents and clients are the same in every build; a client in C cannot load a sanitized library just so.
if(ASSENT_SANITIZE STREQUAL "")
    add_test(NAME test_openapi_document
        COMMAND /usr/bin/python3 "${CMAKE_CURRENT_LIST_DIR}/test_openapi_document.py")
    add_test(NAME test_examples_answers
        COMMAND /usr/bin/python3 "${CMAKE_CURRENT_LIST_DIR}/test_examples_answers.py")
    add_test(NAME test_install
        COMMAND bash "${CMAKE_CURRENT_LIST_DIR}/test_install.sh")
    set_tests_properties(test_install PROPERTIES
        LABELS integration TIMEOUT 60 ENVIRONMENT "${ASSENT_TEST_ENVIRONMENT}")
    add_test(NAME test_examples
        COMMAND bash "${CMAKE_CURRENT_LIST_DIR}/test_examples.sh")
    set_tests_properties(test_openapi_document PROPERTIES
        LABELS integration TIMEOUT 60 ENVIRONMENT "${python_environment}")
    add_test(NAME test_doc_pages
        COMMAND bash "${CMAKE_CURRENT_LIST_DIR}/test_doc_pages.sh")
    add_test(NAME test_doc_tutorial
        COMMAND bash "${CMAKE_CURRENT_LIST_DIR}/test_doc_tutorial.sh")
    set_tests_properties(test_examples_answers test_examples test_doc_pages test_doc_tutorial PROPERTIES
        LABELS "integration;examples" TIMEOUT 300 ENVIRONMENT "${python_environment}")
    set_tests_properties(test_doc_pages PROPERTIES TIMEOUT 500) # some examples wait for a deadline
endif()
