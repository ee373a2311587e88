#ifndef CKPT_DEFLATE_SHIM_H
#define CKPT_DEFLATE_SHIM_H
#include <libdeflate.h>
#include <string.h>
#include <zlib.h>

/// Inflates the first `room` bytes at most of a raw deflate stream; gives how many there are, or -1 for what is no such
/// stream. (libdeflate knows whole streams alone.)
static inline long ckpt_inflate_start(const void *in, size_t count, void *out, size_t room) {
  z_stream stream;
  memset(&stream, 0, sizeof stream);
  if (inflateInit2(&stream, -15) != Z_OK) return -1;
  stream.next_in = (Bytef *)in;
  stream.avail_in = count > 1u << 30 ? 1u << 30 : (uInt)count;
  stream.next_out = (Bytef *)out;
  stream.avail_out = room > 1u << 30 ? 1u << 30 : (uInt)room;
  int status = Z_OK;
  while (status == Z_OK && stream.avail_out > 0 && stream.avail_in > 0) status = inflate(&stream, Z_NO_FLUSH);
  long made = (long)stream.total_out;
  inflateEnd(&stream);
  return status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR ? made : -1;
}
#endif
