/*
 * http_accept.c - a thread that accepts connections and hands them to libmicrohttpd's workers.
 *
 * Started and stopped by http.c. Why not libmicrohttpd's own listening: draining must refuse new
 * clients while running requests go on, and MHD_quiesce_daemon of 0.9.75 can lose a race against
 * its own workers (both remove the listening socket from the epoll set, the second one panics).
 * Here the listening socket is simply closed.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/http_internal.h"

/* Out of descriptors, accept() fails at once and again; leave the processor to those who will close
 * some. */
#define EXHAUSTED_WAIT_MS 100

struct acceptor {
    struct MHD_Daemon *daemon;
    pthread_t thread;
    int listen_fd;
    int stop_fd;
};

/* Returns how long to leave the listening socket alone. */
static int accept_one(const struct acceptor *acceptor)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    const int fd = accept4(acceptor->listen_fd, (struct sockaddr *)&address, &length,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        /* At a limit it closes the connection, which is all that can be done for the client. */
        (void)MHD_add_connection(acceptor->daemon, fd, (const struct sockaddr *)&address, length);
        return 0;
    }
    switch (errno) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return EXHAUSTED_WAIT_MS;
    default: /* the client gave up, or a signal: nothing is lost */
        return 0;
    }
}

static void *acceptor_run(void *user)
{
    const struct acceptor *acceptor = user;
    int wait_ms = 0;
    for (;;) {
        struct pollfd fds[2] = {{.fd = acceptor->stop_fd, .events = POLLIN},
                                {.fd = acceptor->listen_fd, .events = POLLIN}};
        const int ready = poll(fds, wait_ms > 0 ? 1 : 2, wait_ms > 0 ? wait_ms : -1);
        if (ready > 0 && fds[0].revents != 0) {
            return NULL;
        }
        wait_ms = ready > 0 && fds[1].revents != 0 ? accept_one(acceptor) : 0;
    }
}

bool acceptor_start(struct MHD_Daemon *daemon, int listen_fd, struct acceptor **ret_acceptor,
                    struct error *ret_error)
{
    const int stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_fd < 0) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot make an event descriptor");
    }
    struct acceptor *acceptor = alloc_zeroed(sizeof *acceptor);
    *acceptor = (struct acceptor){.daemon = daemon, .listen_fd = listen_fd, .stop_fd = stop_fd};
    const int result = pthread_create(&acceptor->thread, NULL, acceptor_run, acceptor);
    if (result != 0) {
        (void)close(stop_fd);
        free(acceptor);
        return error_set_errno(ret_error, ERROR_SYSTEM, result,
                               "cannot start the accepting thread");
    }
    *ret_acceptor = acceptor;
    return true;
}

void acceptor_stop(struct acceptor *acceptor)
{
    const uint64_t one = 1;
    CHECK(write(acceptor->stop_fd, &one, sizeof one) == sizeof one);
    CHECK(pthread_join(acceptor->thread, NULL) == 0);
    (void)close(acceptor->stop_fd);
    (void)close(acceptor->listen_fd); /* clients that were not accepted yet are refused now */
    free(acceptor);
}
