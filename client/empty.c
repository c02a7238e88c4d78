/* empty.c - a shared library must have a source of its own; all of libassent comes from
 * assent_client. */
struct assent_client; /* ISO C wants a declaration */
