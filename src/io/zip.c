/* SPDX-License-Identifier: MIT */
/* zip.c - reads the end records, then the central directory, then checks every local header,
 * descriptor and CRC-32 against it.
 *
 * Layout that torch.save (miniz, streaming) writes:
 *     { local header, name, extra "FB" padding to 64 bytes, data, data descriptor } for every
 * entry, central directory, zip64 end record, zip64 locator, end record. The local header's sizes
 * and CRC are zero when flag bit 3 says that the descriptor has them. The entries must tile the
 * bytes in front of the central directory without gap or overlap, in the directory's order: this
 * one rule excludes foreign offsets, entries that share bytes and hidden data. Deflated entries are
 * inflated once, in passing, for their checksum. No length is used
 * before it was compared with the bytes that remain. */
#include "io/zip.h"

#include <string.h>
#include <zlib.h>

#include "io/inflate.h"
#include "io/little.h"

enum {
    LOCAL_SIGNATURE = 0x04034b50,
    CENTRAL_SIGNATURE = 0x02014b50,
    DESCRIPTOR_SIGNATURE = 0x08074b50,
    END_SIGNATURE = 0x06054b50,
    END64_SIGNATURE = 0x06064b50,
    LOCATOR_SIGNATURE = 0x07064b50,
    LOCAL_SIZE = 30,
    CENTRAL_SIZE = 46,
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    DESCRIPTOR32_SIZE = 16,
    DESCRIPTOR64_SIZE = 24,
    EXTRA_ZIP64 = 0x0001,
    EXTRA_PADDING = 0x4246, /* "FB" */
    FLAG_ENCRYPTED = 0x0001,
    FLAG_DESCRIPTOR = 0x0008,
    FLAG_UTF8 = 0x0800,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
    MAX_INFLATED = 1 << 24 /* of all deflated entries together */
};

typedef struct directory {
    uint64_t offset, size, count;
} directory;

/* One entry as the central directory describes it. */
typedef struct record {
    aim_slice name;
    unsigned flags, method;
    uint32_t crc;
    uint64_t size, packed, offset;
} record;

/* ---------------------------------------------------------------- end records */

static aim_status read_end64(const unsigned char *bytes, size_t locator, directory *dir,
                             size_t *end)
{
    const unsigned char *l = bytes + locator;
    if (locator < END64_SIZE || aim_le32(l + 4) != 0 || aim_le32(l + 16) != 1 ||
        aim_le64(l + 8) != locator - END64_SIZE)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "the zip64 locator does not point to the record in front of it");
    *end = locator - END64_SIZE;
    const unsigned char *r = bytes + *end;
    if (aim_le32(r) != END64_SIGNATURE || aim_le64(r + 4) != END64_SIZE - 12 ||
        aim_le32(r + 16) != 0 || aim_le32(r + 20) != 0 || aim_le64(r + 24) != aim_le64(r + 32))
        return AIM_FAIL(AIMNET_ERR_FORMAT, "the zip64 end record is malformed");
    *dir = (directory){aim_le64(r + 48), aim_le64(r + 40), aim_le64(r + 32)};
    return AIMNET_OK;
}

/* The classic record may repeat the zip64 values or be saturated. */
static int agrees(uint64_t full, uint32_t classic, uint32_t saturated)
{
    return classic == saturated || full == classic;
}

static aim_status read_end(const unsigned char *bytes, size_t size, directory *dir)
{
    if (size < END_SIZE || aim_le32(bytes) != LOCAL_SIGNATURE)
        return AIM_FAIL(
            AIMNET_ERR_FORMAT,
            "not a model file: it does not begin like the ZIP archive that torch.save writes");
    size_t end = size - END_SIZE;
    const unsigned char *e = bytes + end;
    if (aim_le32(e) != END_SIGNATURE)
        return AIM_FAIL(
            AIMNET_ERR_FORMAT,
            "the ZIP end record is missing after %zu bytes: the file is cut off or damaged", size);
    const unsigned entries = aim_le16(e + 10);
    const uint32_t cd_size = aim_le32(e + 12), cd_offset = aim_le32(e + 16);
    if (aim_le16(e + 4) != 0 || aim_le16(e + 6) != 0 || aim_le16(e + 8) != entries ||
        aim_le16(e + 20) != 0)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "archives of several parts and archive comments are not read");
    if (end >= LOCATOR_SIZE && aim_le32(e - LOCATOR_SIZE) == LOCATOR_SIGNATURE) {
        AIM_TRY(read_end64(bytes, end - LOCATOR_SIZE, dir, &end));
        if (!agrees(dir->count, entries, UINT16_MAX) || !agrees(dir->size, cd_size, UINT32_MAX) ||
            !agrees(dir->offset, cd_offset, UINT32_MAX))
            return AIM_FAIL(AIMNET_ERR_FORMAT, "the two ZIP end records contradict each other");
    } else {
        *dir = (directory){cd_offset, cd_size, entries};
    }
    if (dir->offset > end || dir->size != end - dir->offset ||
        dir->count > dir->size / CENTRAL_SIZE)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "the ZIP directory (%llu entries, %llu bytes at %llu) does not fit in "
                        "front of its end record at %zu",
                        (unsigned long long)dir->count, (unsigned long long)dir->size,
                        (unsigned long long)dir->offset, end);
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- central directory */

static aim_status check_name(aim_slice name)
{
    char shown[AIM_SHOWN_SIZE];
    int bad = name.size == 0 || name.text[0] == '/' || name.text[name.size - 1] == '/';
    for (size_t i = 0; i < name.size && !bad; i++) {
        const char c = name.text[i];
        const int segment = i == 0 || name.text[i - 1] == '/';
        bad = c < ' ' || c > '~' || c == '\\' || c == ':' || (segment && c == '/') ||
              (segment && aim_slice_starts(aim_slice_from(name, i), "..") &&
               (i + 2 == name.size || name.text[i + 2] == '/'));
    }
    if (bad)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "archive entry name '%s' is not a plain relative path",
                        aim_shown(shown, name));
    return AIMNET_OK;
}

/* Replaces saturated 32-bit values by those of the zip64 extra field, the only one that may stand
 * here. */
static aim_status read_central_extra(const unsigned char *extra, size_t size, record *rec)
{
    uint64_t *const wide[3] = {&rec->size, &rec->packed, &rec->offset};
    size_t at = 4;
    if (size > 0 && (size < 4 || aim_le16(extra) != EXTRA_ZIP64 || aim_le16(extra + 2) != size - 4))
        return AIM_FAIL(AIMNET_ERR_FORMAT, "unknown extra field in the directory");
    for (int k = 0; k < 3; k++) {
        if (*wide[k] != UINT32_MAX)
            continue;
        if (size < at || size - at < 8)
            return AIM_FAIL(AIMNET_ERR_FORMAT, "64-bit size is missing from the directory");
        *wide[k] = aim_le64(extra + at);
        at += 8;
    }
    if (size > 0 && at != size)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "zip64 field of the directory has a wrong length");
    return AIMNET_OK;
}

/* Reads the record at *p (room bytes remain) and advances *p. */
static aim_status read_record(const unsigned char **p, size_t room, record *rec)
{
    const unsigned char *c = *p;
    if (room < CENTRAL_SIZE || aim_le32(c) != CENTRAL_SIGNATURE)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "directory record is malformed");
    const size_t name = aim_le16(c + 28), extra = aim_le16(c + 30), comment = aim_le16(c + 32);
    if (room - CENTRAL_SIZE < name + extra)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "directory record is longer than the directory");
    rec->name = (aim_slice){(const char *)c + CENTRAL_SIZE, name};
    rec->flags = aim_le16(c + 8);
    rec->crc = aim_le32(c + 16);
    rec->packed = aim_le32(c + 20);
    rec->size = aim_le32(c + 24);
    rec->offset = aim_le32(c + 42);
    AIM_TRY(check_name(rec->name));
    if (rec->flags & FLAG_ENCRYPTED)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "encrypted entries are not read");
    rec->method = aim_le16(c + 10);
    if (rec->method != METHOD_STORED && rec->method != METHOD_DEFLATED)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "compression method %u is not one that torch writes",
                        rec->method);
    if ((rec->flags & ~(unsigned)(FLAG_DESCRIPTOR | FLAG_UTF8)) != 0 || comment != 0 ||
        aim_le16(c + 34) != 0)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "flags %#x, a comment or a disk number that torch.save does not write",
                        rec->flags);
    AIM_TRY(read_central_extra(c + CENTRAL_SIZE + name, extra, rec));
    if (rec->packed != rec->size && rec->method == METHOD_STORED)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "stored entry with two different sizes");
    *p = c + CENTRAL_SIZE + name + extra;
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- entries */

/* Local extra fields: padding and zip64. Sizes of a zip64 field must agree if the header says that
 * they are there. */
static aim_status check_local_extra(const unsigned char *extra, size_t size, int need64,
                                    const record *rec)
{
    while (size > 0) {
        if (size < 4 || size - 4 < aim_le16(extra + 2))
            return AIM_FAIL(AIMNET_ERR_FORMAT, "extra field is cut off");
        const unsigned id = aim_le16(extra);
        const size_t n = aim_le16(extra + 2);
        if (id == EXTRA_ZIP64 && need64) {
            if (n < 16 || aim_le64(extra + 4) != rec->size || aim_le64(extra + 12) != rec->packed)
                return AIM_FAIL(AIMNET_ERR_FORMAT, "64-bit sizes differ from the directory");
            need64 = 0;
        } else if (id != EXTRA_PADDING && id != EXTRA_ZIP64) {
            return AIM_FAIL(AIMNET_ERR_FORMAT,
                            "extra field %#06x is not one that torch.save writes", id);
        }
        extra += 4 + n;
        size -= 4 + n;
    }
    if (need64)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "64-bit sizes are missing");
    return AIMNET_OK;
}

/* The local header at the entry's offset must say what the directory says; *data receives the
 * offset behind it. */
static aim_status check_local(const unsigned char *bytes, size_t limit, const record *rec,
                              size_t *data)
{
    if (limit - rec->offset < LOCAL_SIZE)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "local header is cut off");
    const unsigned char *l = bytes + rec->offset;
    const size_t name = aim_le16(l + 26), extra = aim_le16(l + 28);
    const size_t room = limit - (size_t)rec->offset - LOCAL_SIZE;
    if (aim_le32(l) != LOCAL_SIGNATURE || room < name + extra || name != rec->name.size ||
        memcmp(l + LOCAL_SIZE, rec->name.text, name) != 0)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "no local header of that name where the directory points to");
    if (aim_le16(l + 6) != rec->flags || aim_le16(l + 8) != rec->method)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "local header and directory disagree on flags or method");
    const uint32_t crc = aim_le32(l + 14), packed = aim_le32(l + 18), size = aim_le32(l + 22);
    const int later = (rec->flags & FLAG_DESCRIPTOR) != 0 && crc == 0 && packed == 0 && size == 0;
    const int wide = !later && packed == UINT32_MAX && size == UINT32_MAX;
    if (!later && (crc != rec->crc || (!wide && (packed != rec->packed || size != rec->size))))
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "local header and directory disagree on size or checksum");
    AIM_TRY(check_local_extra(l + LOCAL_SIZE + name, extra, wide, rec));
    *data = (size_t)rec->offset + LOCAL_SIZE + name + extra;
    return AIMNET_OK;
}

/* Between the data and `next`, where the next entry or the directory begins, only the descriptor
 * may stand. */
static aim_status check_descriptor(const unsigned char *bytes, size_t end, size_t next,
                                   const record *rec)
{
    const unsigned char *d = bytes + end;
    const size_t gap = next - end;
    if (!(rec->flags & FLAG_DESCRIPTOR) && gap == 0)
        return AIMNET_OK;
    if (!(rec->flags & FLAG_DESCRIPTOR) || (gap != DESCRIPTOR32_SIZE && gap != DESCRIPTOR64_SIZE))
        return AIM_FAIL(AIMNET_ERR_FORMAT, "%zu bytes lie behind the entry that belong to nothing",
                        gap);
    const int wide = gap == DESCRIPTOR64_SIZE;
    const uint64_t packed = wide ? aim_le64(d + 8) : aim_le32(d + 8);
    const uint64_t size = wide ? aim_le64(d + 16) : aim_le32(d + 12);
    if (aim_le32(d) != DESCRIPTOR_SIGNATURE || aim_le32(d + 4) != rec->crc ||
        packed != rec->packed || size != rec->size)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "data descriptor and directory disagree");
    return AIMNET_OK;
}

static aim_status check_crc(const aim_alloc *a, const aim_zip_entry *entry, uint32_t expected)
{
    uint32_t crc = 0;
    if (entry->deflated)
        AIM_TRY(aim_inflate(a, entry->data, entry->size, NULL, entry->full, &crc));
    else
        crc = (uint32_t)crc32_z(0, entry->data, entry->size);
    if (crc == expected)
        return AIMNET_OK;
    if (expected == 0)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "no CRC-32: save the file again with compute_crc32 on "
                                           "(torch.utils.serialization.config)");
    return AIM_FAIL(AIMNET_ERR_FORMAT, "CRC-32 is %08x instead of %08x: the file is damaged",
                    (unsigned)crc, (unsigned)expected);
}

/* Makes the entry of `rec`, which must begin at `start` and end at `next`. */
static aim_status make_entry(const aim_alloc *a, const unsigned char *bytes, size_t start,
                             size_t next, const record *rec, aim_zip_entry *entry)
{
    size_t data = 0;
    if (rec->offset != start || next < start)
        return AIM_FAIL(
            AIMNET_ERR_FORMAT,
            "entries overlap, leave gaps or are out of order (offset %llu, expected %zu)",
            (unsigned long long)rec->offset, start);
    AIM_TRY(check_local(bytes, next, rec, &data));
    if (rec->packed > next - data)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "%llu bytes of data are promised where %zu lie",
                        (unsigned long long)rec->packed, next - data);
    *entry = (aim_zip_entry){rec->name, bytes + data, (size_t)rec->packed,
                             rec->method == METHOD_DEFLATED, (size_t)rec->size};
    AIM_TRY(check_descriptor(bytes, data + entry->size, next, rec));
    return check_crc(a, entry, rec->crc);
}

static aim_status read_entries(const aim_alloc *a, aim_zip *zip, const unsigned char *bytes,
                               const directory *dir)
{
    const unsigned char *p = bytes + dir->offset, *const end = p + dir->size;
    const size_t limit = (size_t)dir->offset;
    record rec = {{0}, 0, 0, 0, 0, 0, 0}, next = rec;
    uint64_t inflated = 0;
    char shown[AIM_SHOWN_SIZE];
    size_t start = 0;
    AIM_TRY(read_record(&p, (size_t)(end - p), &next));
    for (size_t i = 0; i < zip->n_entries; i++) {
        rec = next;
        size_t stop = limit;
        if (i + 1 < zip->n_entries) {
            AIM_TRY(read_record(&p, (size_t)(end - p), &next));
            if (next.offset > limit)
                return AIM_FAIL(AIMNET_ERR_FORMAT, "archive entry '%s' lies outside of the archive",
                                aim_shown(shown, next.name));
            stop = (size_t)next.offset;
        }
        inflated += rec.method == METHOD_DEFLATED && rec.size <= MAX_INFLATED ? rec.size : 0;
        if (inflated > MAX_INFLATED || (rec.method == METHOD_DEFLATED && rec.size > MAX_INFLATED))
            return AIM_FAIL(AIMNET_ERR_FORMAT, "compressed archive entries of more than 16 MiB");
        const aim_status status = make_entry(a, bytes, start, stop, &rec, &zip->entry[i]);
        if (status != AIMNET_OK)
            return aim_fail_prefix(status, "archive entry '%s'", aim_shown(shown, rec.name));
        start = stop;
    }
    if (p != end)
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "%zu bytes at the end of the ZIP directory belong to no entry",
                        (size_t)(end - p));
    return AIMNET_OK;
}

aim_status aim_zip_open(const aim_alloc *a, const unsigned char *bytes, size_t size, aim_zip *zip)
{
    directory dir = {0, 0, 0};
    char shown[AIM_SHOWN_SIZE];
    *zip = (aim_zip){0};
    AIM_TRY(read_end(bytes, size, &dir));
    if (dir.count == 0)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "the archive is empty");
    zip->n_entries = (size_t)dir.count;
    AIM_TRY(aim_new0(a, zip->n_entries, sizeof *zip->entry, "archive directory", &zip->entry));
    aim_status status = read_entries(a, zip, bytes, &dir);
    if (status == AIMNET_OK)
        status = aim_names_create(&zip->names, a, zip->entry, sizeof *zip->entry, zip->n_entries);
    if (status == AIMNET_OK && aim_names_duplicate(&zip->names) != AIM_NO_NAME)
        status = AIM_FAIL(AIMNET_ERR_FORMAT, "archive entry '%s' occurs twice",
                          aim_shown(shown, zip->entry[aim_names_duplicate(&zip->names)].name));
    if (status != AIMNET_OK)
        aim_zip_free(zip, a);
    return status;
}

void aim_zip_free(aim_zip *zip, const aim_alloc *a)
{
    aim_names_free(&zip->names, a);
    aim_free(a, zip->entry);
    *zip = (aim_zip){0};
}

aim_status aim_zip_inflate(const aim_alloc *a, const aim_zip_entry *entry, unsigned char **bytes)
{
    uint32_t crc = 0;
    AIM_TRY(aim_new(a, entry->full, 1, "an archive entry", bytes));
    if (!entry->deflated) {
        memcpy(*bytes, entry->data, entry->size);
        return AIMNET_OK;
    }
    const aim_status status = aim_inflate(a, entry->data, entry->size, *bytes, entry->full, &crc);
    if (status != AIMNET_OK) {
        aim_free(a, *bytes);
        *bytes = NULL;
    }
    return status;
}

const aim_zip_entry *aim_zip_find(const aim_zip *zip, aim_slice name)
{
    const size_t i = aim_names_find(&zip->names, name);
    return i == AIM_NO_NAME ? NULL : &zip->entry[i];
}
