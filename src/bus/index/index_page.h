#ifndef TIDINGS_BUS_INDEX_INDEX_PAGE_H
#define TIDINGS_BUS_INDEX_INDEX_PAGE_H

#include "base/bytes.h"
#include "base/crc32c.h"
#include "bus/index/index_run.h"

/*
 * How a run's pages lie in its file: what its reader and its writer share. A page is 4096 bytes:
 * 4080 of content, its number in the file, 8 bytes of zeros, CRC-32C of all before.
 *
 *     page 0           the head: "TDIX", version, entries, pages of entries, pages of first hashes,
 *                      size and CRC-32C of the places
 *     then             pages of entries: 340 hashes, then 340 numbers; the last one may have fewer
 *     then             pages of first hashes: 510 each
 *     then             the places
 */
enum {
    INDEX_CONTENT_BYTES = 4080,
    INDEX_VERSION = 1,
    INDEX_NUMBERS_AT = INDEX_PAGE_ENTRIES * 8,
};
#define INDEX_MAGIC "TDIX"

struct index_head {
    uint64_t entries;
    uint32_t pages;       /* of entries */
    uint32_t fence_pages; /* of first hashes */
    uint64_t places_bytes;
    uint32_t places_crc;
};

/* Puts the page's number and checksum behind its content. */
static inline void index_page_seal(uint8_t *page, uint32_t number)
{
    store_be32(page + INDEX_CONTENT_BYTES, number);
    store_be64(page + INDEX_CONTENT_BYTES + 4, 0);
    store_be32(page + INDEX_PAGE_BYTES - 4, crc32c(0, page, INDEX_PAGE_BYTES - 4));
}

/* Whether it is the page of this number, as it was written. */
static inline bool index_page_is_good(const uint8_t *page, uint32_t number)
{
    return load_be32(page + INDEX_CONTENT_BYTES) == number &&
           load_be32(page + INDEX_PAGE_BYTES - 4) == crc32c(0, page, INDEX_PAGE_BYTES - 4);
}

#endif
