/* schema.c - finds the places that are mutated, with libclang. See schema.h. */
#include "tests/mutants/schema.h"

#include <clang-c/Index.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/mutants/files.h"
#include "tests/mutants/schema_internal.h"

/* Calls that make texts for people: what becomes of their arguments is no behaviour that a test must pin down. */
static const char *const text_makers[] = {"ready_notice", "agent_notice", "txn_note", "snprintf"};

struct finder {
    CXFile file;
    const char *name, *text;
    char *function;
    size_t macro_count;
    struct span *macros;
    struct edit_list edits;
    struct mutant_list *list;
};

void mutant_list_free(struct mutant_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->mutants[i].file);
        free(list->mutants[i].function);
        free(list->mutants[i].site);
    }
    free(list->mutants);
    *list = (struct mutant_list){0};
}

const char *mutation_text(enum mutation mutation)
{
    switch (mutation) {
    case MUTATION_NEGATED:
        return "negated";
    case MUTATION_BOUNDARY:
        return "off by one";
    case MUTATION_NO_LEFT:
        return "without its left side";
    case MUTATION_NO_RIGHT:
        return "without its right side";
    }
    return "?";
}

/* ---- places ---- */

/* In the file being read and in order, or false. */
static bool cursor_span(const struct finder *finder, CXCursor cursor, struct span *ret_span)
{
    CXSourceRange range = clang_getCursorExtent(cursor);
    CXFile start_file = NULL, end_file = NULL;
    unsigned start = 0, end = 0;
    clang_getExpansionLocation(clang_getRangeStart(range), &start_file, NULL, NULL, &start);
    clang_getExpansionLocation(clang_getRangeEnd(range), &end_file, NULL, NULL, &end);
    if (start_file == NULL || end_file == NULL || !clang_File_isEqual(start_file, finder->file) ||
        !clang_File_isEqual(end_file, finder->file) || end <= start) {
        return false;
    }
    *ret_span = (struct span){start, end};
    return true;
}

static bool is_in_macro(const struct finder *finder, struct span span)
{
    for (size_t i = 0; i < finder->macro_count; i++) {
        if (span.start >= finder->macros[i].start && span.end <= finder->macros[i].end) {
            return true;
        }
    }
    return false;
}

static unsigned line_of(const char *text, size_t offset)
{
    unsigned line = 1;
    for (size_t i = 0; i < offset; i++) {
        line += text[i] == '\n';
    }
    return line;
}

static unsigned mutant_add(struct finder *finder, struct span span, enum mutation mutation)
{
    struct mutant_list *list = finder->list;
    list->mutants = alloc_resize(list->mutants, list->count + 1, sizeof(list->mutants[0]));
    struct mutant mutant = {
        .number = (unsigned)list->count + 1,
        .file = alloc_string(finder->name),
        .function = alloc_string(finder->function),
        .line = line_of(finder->text, span.start),
        .mutation = mutation,
        .site = span_text(finder->text, span),
        .occurrence = 1,
    };
    for (size_t i = 0; i < list->count; i++) {
        const struct mutant *before = &list->mutants[i];
        mutant.occurrence += before->mutation == mutation &&
                             strcmp(before->file, mutant.file) == 0 &&
                             strcmp(before->function, mutant.function) == 0 &&
                             strcmp(before->site, mutant.site) == 0;
    }
    list->mutants[list->count++] = mutant;
    return mutant.number;
}

/* ---- expressions ---- */

struct children {
    size_t count;
    CXCursor cursors[4];
};

static enum CXChildVisitResult collect_child(CXCursor cursor, CXCursor parent, CXClientData data)
{
    struct children *children = data;
    (void)parent;
    if (children->count < sizeof children->cursors / sizeof children->cursors[0]) {
        children->cursors[children->count++] = cursor;
    }
    return CXChildVisit_Continue;
}

static struct children children_of(CXCursor cursor)
{
    struct children children = {0};
    (void)clang_visitChildren(cursor, collect_child, &children);
    return children;
}

/* Through parentheses and conversions that the text does not show. */
static CXCursor peel(CXCursor cursor)
{
    for (int depth = 0; depth < 32; depth++) {
        enum CXCursorKind kind = clang_getCursorKind(cursor);
        struct children children = children_of(cursor);
        if ((kind != CXCursor_ParenExpr && kind != CXCursor_UnexposedExpr) || children.count != 1) {
            break;
        }
        cursor = children.cursors[0];
    }
    return cursor;
}

/* The operator of a binary expression and its two sides, or "". */
struct binary {
    char operator[4];
    struct span at, left, right;
    CXCursor left_cursor;
};

static bool binary_read(const struct finder *finder, CXCursor cursor, struct binary *ret_binary)
{
    struct children sides = children_of(cursor);
    struct binary binary = {0};
    if (clang_getCursorKind(cursor) != CXCursor_BinaryOperator || sides.count != 2 ||
        !cursor_span(finder, sides.cursors[0], &binary.left) ||
        !cursor_span(finder, sides.cursors[1], &binary.right) ||
        binary.left.end > binary.right.start) {
        return false;
    }
    binary.left_cursor = sides.cursors[0];
    binary.at = span_trim(finder->text, (struct span){binary.left.end, binary.right.start});
    size_t length = strspn(finder->text + binary.at.start, "=!<>&|");
    if (length == 0 || length >= sizeof binary.operator|| length> binary.at.end - binary.at.start) {
        return false;
    }
    binary.at.end = binary.at.start + length; /* a comment may follow */
    memcpy(binary.operator, finder->text + binary.at.start, length);
    *ret_binary = binary;
    return true;
}

static const struct comparison {
    const char *operator, * negated, *boundary;
} comparisons[] = {{"<", ">=", "<="}, {">", "<=", ">="}, {"<=", ">", "<"}, {">=", "<", ">"}};

static const struct comparison *comparison_find(const char *operator)
{
    for (size_t i = 0; i < sizeof comparisons / sizeof comparisons[0]; i++) {
        if (strcmp(comparisons[i].operator, operator) == 0) {
            return &comparisons[i];
        }
    }
    return NULL;
}

static bool is_equality(const char *operator)
{
    return strcmp(operator, "==") == 0 || strcmp(operator, "!=") == 0;
}

static bool is_logical(const char *operator)
{
    return strcmp(operator, "&&") == 0 || strcmp(operator, "||") == 0;
}

static void negate(struct finder *finder, struct span span)
{
    char behind[48];
    unsigned number = mutant_add(finder, span, MUTATION_NEGATED);
    (void)snprintf(behind, sizeof behind, ")) ^ MUTANT(%u))", number);
    edit_wrap(&finder->edits, span, "((!!(", behind);
}

static void mutate_comparison(struct finder *finder, struct span span, const struct binary *binary,
                              const struct comparison *comparison)
{
    char text[64];
    unsigned number = mutant_add(finder, span, MUTATION_NEGATED);
    (void)mutant_add(finder, span, MUTATION_BOUNDARY);
    (void)snprintf(text, sizeof text, "MUTANT_COMPARE(%u, ", number);
    edit_wrap(&finder->edits, span, text, ")");
    edit_wrap(&finder->edits, binary->left, "(", ")");
    (void)snprintf(text, sizeof text, ", %s, %s, %s,", comparison->operator, comparison->negated,
                   comparison->boundary);
    edit_replace(&finder->edits, binary->at, text);
    edit_wrap(&finder->edits, binary->right, "(", ")");
}

static void drop_side(struct finder *finder, struct span whole, struct span side,
                      enum mutation mutation, bool is_and)
{
    char behind[48];
    unsigned number = mutant_add(finder, whole, mutation);
    (void)snprintf(behind, sizeof behind, is_and ? ") || MUTANT(%u))" : ") && !MUTANT(%u))",
                   number);
    edit_wrap(&finder->edits, side, "(!!(", behind);
}

static void mutate_binary(struct finder *finder, CXCursor cursor, struct span span)
{
    struct binary binary, inner;
    if (!binary_read(finder, cursor, &binary)) {
        return;
    }
    const struct comparison *comparison = comparison_find(binary.operator);
    if (comparison != NULL) {
        mutate_comparison(finder, span, &binary, comparison);
    } else if (is_equality(binary.operator)) {
        negate(finder, span);
    } else if (is_logical(binary.operator)) {
        bool is_and = binary.operator[0] == '&';
        /* In a && b && c the left side of the second is a && b: its own sides are left out one by one. */
        bool is_chain = binary_read(finder, binary.left_cursor, &inner) &&
                        strcmp(inner.operator, binary.operator) == 0;
        if (!is_chain) {
            drop_side(finder, span, binary.left, MUTATION_NO_LEFT, is_and);
        }
        drop_side(finder, span, binary.right, MUTATION_NO_RIGHT, is_and);
    }
}

/* A condition that is a comparison is negated as such. */
static void mutate_condition(struct finder *finder, CXCursor condition)
{
    struct span span;
    struct binary binary;
    CXCursor inner = peel(condition);
    if (!cursor_span(finder, condition, &span)) {
        return;
    }
    if (binary_read(finder, inner, &binary) &&
        (comparison_find(binary.operator) != NULL || is_equality(binary.operator))) {
        return;
    }
    negate(finder, span);
}

/* libclang does not say which child of a for is the condition; the text does. */
struct wanted {
    const struct finder *finder;
    struct span span;
    bool is_found;
    CXCursor cursor;
};

static enum CXChildVisitResult match_span(CXCursor cursor, CXCursor parent, CXClientData data)
{
    struct wanted *wanted = data;
    struct span span;
    (void)parent;
    if (cursor_span(wanted->finder, cursor, &span) && span.start == wanted->span.start &&
        span.end == wanted->span.end) {
        wanted->is_found = true;
        wanted->cursor = cursor;
        return CXChildVisit_Break;
    }
    return CXChildVisit_Continue;
}

static void mutate_for(struct finder *finder, CXCursor loop, struct span span)
{
    struct wanted wanted = {.finder = finder, .span = span_for_condition(finder->text, span.start)};
    (void)clang_visitChildren(loop, match_span, &wanted);
    if (wanted.is_found) {
        mutate_condition(finder, wanted.cursor);
    }
}

/* ---- the walk ---- */

static bool makes_text(CXCursor call)
{
    CXString name = clang_getCursorSpelling(call);
    const char *text = clang_getCString(name);
    bool found = false;
    for (size_t i = 0; i < sizeof text_makers / sizeof text_makers[0]; i++) {
        found = found || (text != NULL && strcmp(text, text_makers[i]) == 0);
    }
    clang_disposeString(name);
    return found;
}

/* False: nothing below it is mutated. */
static bool mutate_cursor(struct finder *finder, CXCursor cursor)
{
    struct span span;
    enum CXCursorKind kind = clang_getCursorKind(cursor);
    if (kind == CXCursor_CallExpr && makes_text(cursor)) {
        return false;
    }
    if (kind == CXCursor_VarDecl && clang_Cursor_getStorageClass(cursor) == CX_SC_Static) {
        return false;
    }
    if (!cursor_span(finder, cursor, &span) || is_in_macro(finder, span)) {
        return true;
    }
    /* A loop whose head is a macro begins in it and ends in plain text. */
    bool is_headless = is_in_macro(finder, (struct span){span.start, span.start + 1});
    struct children children = children_of(cursor);
    if (kind == CXCursor_BinaryOperator) {
        mutate_binary(finder, cursor, span);
    } else if (is_headless || children.count == 0) {
        return true;
    } else if (kind == CXCursor_IfStmt || kind == CXCursor_WhileStmt ||
               kind == CXCursor_ConditionalOperator) {
        mutate_condition(finder, children.cursors[0]);
    } else if (kind == CXCursor_DoStmt) {
        mutate_condition(finder, children.cursors[children.count - 1]);
    } else if (kind == CXCursor_ForStmt) {
        mutate_for(finder, cursor, span);
    }
    return true;
}

static enum CXChildVisitResult visit_body(CXCursor cursor, CXCursor parent, CXClientData data)
{
    (void)parent;
    return mutate_cursor(data, cursor) ? CXChildVisit_Recurse : CXChildVisit_Continue;
}

static enum CXChildVisitResult visit_top(CXCursor cursor, CXCursor parent, CXClientData data)
{
    struct finder *finder = data;
    struct span span;
    (void)parent;
    if (clang_getCursorKind(cursor) == CXCursor_FunctionDecl &&
        clang_isCursorDefinition(cursor) != 0 && cursor_span(finder, cursor, &span)) {
        CXString name = clang_getCursorSpelling(cursor);
        free(finder->function);
        finder->function = alloc_string(clang_getCString(name));
        clang_disposeString(name);
        (void)clang_visitChildren(cursor, visit_body, finder);
    }
    return CXChildVisit_Continue;
}

static enum CXChildVisitResult visit_macros(CXCursor cursor, CXCursor parent, CXClientData data)
{
    struct finder *finder = data;
    struct span span;
    (void)parent;
    if (clang_getCursorKind(cursor) == CXCursor_MacroExpansion &&
        cursor_span(finder, cursor, &span)) {
        finder->macros =
            alloc_resize(finder->macros, finder->macro_count + 1, sizeof(finder->macros[0]));
        finder->macros[finder->macro_count++] = span;
    }
    return CXChildVisit_Continue;
}

/* ---- the file ---- */

static bool has_errors(CXTranslationUnit unit, struct error *ret_error)
{
    bool found = false;
    for (unsigned i = 0; i < clang_getNumDiagnostics(unit) && !found; i++) {
        CXDiagnostic diagnostic = clang_getDiagnostic(unit, i);
        if (clang_getDiagnosticSeverity(diagnostic) >= CXDiagnostic_Error) {
            CXString text =
                clang_formatDiagnostic(diagnostic, clang_defaultDiagnosticDisplayOptions());
            (void)error_set(ret_error, ERROR_INVALID, "libclang: %s", clang_getCString(text));
            clang_disposeString(text);
            found = true;
        }
        clang_disposeDiagnostic(diagnostic);
    }
    return found;
}

static char *changed_text(struct finder *finder)
{
    char *body = edit_apply(&finder->edits, finder->text);
    char *whole = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&whole, &size);
    CHECK(out != NULL);
    (void)fprintf(out, "#include \"common/mutant.h\"\n#line 1 \"%s\"\n%s", finder->name, body);
    CHECK(fclose(out) == 0);
    free(body);
    return whole;
}

static bool find_all(CXIndex index, const char *path, const char *const *options, int option_count,
                     struct finder *finder, struct error *ret_error)
{
    CXTranslationUnit unit = NULL;
    enum CXErrorCode code =
        clang_parseTranslationUnit2(index, path, options, option_count, NULL, 0,
                                    CXTranslationUnit_DetailedPreprocessingRecord, &unit);
    if (code != CXError_Success) {
        return error_set(ret_error, ERROR_SYSTEM, "libclang cannot read %s (%d)", path, (int)code);
    }
    bool good = !has_errors(unit, ret_error);
    if (good) {
        finder->file = clang_getFile(unit, path);
        CXCursor top = clang_getTranslationUnitCursor(unit);
        (void)clang_visitChildren(top, visit_macros, finder);
        (void)clang_visitChildren(top, visit_top, finder);
    }
    clang_disposeTranslationUnit(unit);
    return good;
}

bool schema_rewrite(const char *tree, const char *build, const char *file, struct mutant_list *list,
                    char **ret_text, struct error *ret_error)
{
    char *path = file_path(tree, file);
    char *include = file_path(tree, "include");
    char *generated = file_path(build, "generated");
    const char *const options[] = {"-std=gnu11", "-D_GNU_SOURCE", "-I", tree,
                                   "-I",         include,         "-I", generated};
    char *text = NULL;
    bool good = file_read(path, &text, ret_error);
    struct finder finder = {.name = file, .text = text, .list = list};
    CXIndex index = clang_createIndex(0, 0);
    good = good && find_all(index, path, options, (int)(sizeof options / sizeof options[0]),
                            &finder, ret_error);
    clang_disposeIndex(index);
    if (good) {
        *ret_text = changed_text(&finder);
    }
    edit_list_free(&finder.edits);
    free(finder.macros);
    free(finder.function);
    free(text);
    free(generated);
    free(include);
    free(path);
    return good;
}

char *schema_header(void)
{
    return alloc_string(
        "#ifndef ASSENT_COMMON_MUTANT_H\n"
        "#define ASSENT_COMMON_MUTANT_H\n"
        "extern int assent_mutant;\n"
        "extern unsigned char assent_mutant_asked[];\n"
        "#define MUTANT(k) (assent_mutant_asked[k] = 1, assent_mutant == (k))\n"
        "#define MUTANT_COMPARE(k, a, operator, negated, boundary, b) (__extension__ ({ \\\n"
        "    __auto_type mutant_left = a; __auto_type mutant_right = b; \\\n"
        "    MUTANT(k) ? mutant_left negated mutant_right : \\\n"
        "    MUTANT((k) + 1) ? mutant_left boundary mutant_right : \\\n"
        "    mutant_left operator mutant_right; }))\n"
        "#endif\n");
}

char *schema_switch(size_t mutant_count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out != NULL);
    (void)fprintf(
        out,
        "\n#include <fcntl.h>\n"
        "int assent_mutant;\n"
        "unsigned char assent_mutant_asked[%zu];\n"
        "__attribute__((constructor)) static void mutant_choose(void)\n"
        "{\n"
        "    const char *number = getenv(\"ASSENT_MUTANT\");\n"
        "    assent_mutant = number == NULL ? 0 : atoi(number);\n"
        "}\n"
        "__attribute__((destructor)) static void mutant_tell(void)\n"
        "{\n"
        "    const char *path = getenv(\"ASSENT_MUTANT_ASKED\");\n"
        "    int fd = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);\n"
        "    if (fd >= 0) {\n"
        "        (void)!write(fd, assent_mutant_asked, sizeof assent_mutant_asked);\n"
        "        close(fd);\n"
        "    }\n"
        "}\n",
        mutant_count + 1);
    CHECK(fclose(out) == 0);
    return text;
}
