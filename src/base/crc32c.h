#ifndef TIDINGS_BASE_CRC32C_H
#define TIDINGS_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32C (Castagnoli) as Kafka's record batch uses it, at memory speed (ISA-L).
 * Start with crc 0; pass the result on to go on over further bytes. Any thread.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

#endif
