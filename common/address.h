/*
 * address.h - HOST:PORT in the configuration files, where HOST is this machine's loopback.
 *
 * For both daemons' config.c. There is no TLS yet, so nothing may be offered to, or sought in, a
 * network. A name is judged by what it is, not by how it begins: "127.example.com" is somebody
 * else's machine.
 */
#ifndef ASSENT_COMMON_ADDRESS_H
#define ASSENT_COMMON_ADDRESS_H

#include <stdint.h>

enum address_verdict {
    ADDRESS_MALFORMED = 1, /* not HOST:PORT with a decimal port up to 65535 */
    ADDRESS_FOREIGN,       /* well-formed, but not loopback */
    ADDRESS_LOOPBACK,      /* 127.0.0.0/8, [::1] or localhost */
};

/* Looks nothing up. ret_port is written unless the address is malformed. */
enum address_verdict address_judge(const char *address, uint16_t *ret_port);

#endif
