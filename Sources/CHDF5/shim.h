// What Swift cannot import from libhdf5: macros with side effects, mutable globals, and the calls whose
// shape differs between 1.10 and later versions. Everything else is called by its own name from Swift.
#ifndef CKPT_CHDF5_SHIM_H
#define CKPT_CHDF5_SHIM_H

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#if __has_include(<hdf5/serial/hdf5.h>)
#include <hdf5/serial/hdf5.h>
#else
#include <hdf5.h>
#endif

#include <stdint.h>
#include <string.h>
#include <zlib.h>

#define CKPT_VERSION_GE(a, b, c)                                                                     \
  ((H5_VERS_MAJOR > (a)) || (H5_VERS_MAJOR == (a) && H5_VERS_MINOR > (b)) ||                         \
   (H5_VERS_MAJOR == (a) && H5_VERS_MINOR == (b) && H5_VERS_RELEASE >= (c)))

#if !CKPT_VERSION_GE(1, 10, 5)
#error "ckpt needs libhdf5 1.10.5 or later"
#endif

// MARK: Constants

// Plain numbers in some versions and casts, which Swift does not import, in others.
static inline hid_t ckpt_default(void) { return H5P_DEFAULT; }
static inline hid_t ckpt_default_stack(void) { return H5E_DEFAULT; }
static inline hid_t ckpt_all(void) { return H5S_ALL; }
static inline int ckpt_max_rank(void) { return H5S_MAX_RANK; }

static inline unsigned ckpt_access_read_only(void) { return H5F_ACC_RDONLY; }
static inline unsigned ckpt_access_read_write(void) { return H5F_ACC_RDWR; }
static inline unsigned ckpt_access_truncate(void) { return H5F_ACC_TRUNC; }
static inline unsigned ckpt_access_exclusive(void) { return H5F_ACC_EXCL; }

static inline hid_t ckpt_class_file_create(void) { return H5P_FILE_CREATE; }
static inline hid_t ckpt_class_file_access(void) { return H5P_FILE_ACCESS; }
static inline hid_t ckpt_class_group_create(void) { return H5P_GROUP_CREATE; }
static inline hid_t ckpt_class_link_create(void) { return H5P_LINK_CREATE; }
static inline hid_t ckpt_class_attribute_create(void) { return H5P_ATTRIBUTE_CREATE; }
static inline hid_t ckpt_class_dataset_create(void) { return H5P_DATASET_CREATE; }

static inline unsigned ckpt_order_tracked(void) { return H5P_CRT_ORDER_TRACKED; }
static inline unsigned ckpt_order_indexed(void) { return H5P_CRT_ORDER_INDEXED; }

/// The predefined integer type, or -1 when there is none of that width.
static inline hid_t ckpt_integer_type(int bytes, int is_signed, int big_endian) {
  switch (bytes) {
    case 1: return is_signed ? (big_endian ? H5T_STD_I8BE : H5T_STD_I8LE) : (big_endian ? H5T_STD_U8BE : H5T_STD_U8LE);
    case 2:
      return is_signed ? (big_endian ? H5T_STD_I16BE : H5T_STD_I16LE) : (big_endian ? H5T_STD_U16BE : H5T_STD_U16LE);
    case 4:
      return is_signed ? (big_endian ? H5T_STD_I32BE : H5T_STD_I32LE) : (big_endian ? H5T_STD_U32BE : H5T_STD_U32LE);
    case 8:
      return is_signed ? (big_endian ? H5T_STD_I64BE : H5T_STD_I64LE) : (big_endian ? H5T_STD_U64BE : H5T_STD_U64LE);
    default: return -1;
  }
}
static inline hid_t ckpt_float_type(int bytes, int big_endian) {
  if (bytes == 4) return big_endian ? H5T_IEEE_F32BE : H5T_IEEE_F32LE;
  return big_endian ? H5T_IEEE_F64BE : H5T_IEEE_F64LE;
}
static inline hid_t ckpt_native_int64(void) { return H5T_NATIVE_INT64; }
static inline hid_t ckpt_native_uint64(void) { return H5T_NATIVE_UINT64; }
static inline hid_t ckpt_native_double(void) { return H5T_NATIVE_DOUBLE; }
static inline hid_t ckpt_c_string(void) { return H5T_C_S1; }

// MARK: Set-up

/// Once per process, before any other call.
static inline herr_t ckpt_start(void) {
  // A file that could not be closed (disk full) must not turn into a complaint of the exit handler.
  H5dont_atexit();
  if (H5open() < 0) return -1;
  // Small blocks that were given up are kept for the next object, as the files that a process opens are alike.
  if (H5set_free_list_limits(-1, -1, -1, -1, -1, -1) < 0) return -1;
  // A hostile file names a filter; HDF5 would look for a shared library of that name on disk.
  return H5PLset_loading_state(0);
}

/// HDF5 prints each failure to stderr unless told otherwise, and the switch is per thread.
static inline void ckpt_silence(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

static inline herr_t ckpt_set_file_locking(hid_t list, int on) {
#if CKPT_VERSION_GE(1, 10, 7) && !(H5_VERS_MAJOR == 1 && H5_VERS_MINOR == 12 && H5_VERS_RELEASE < 1)
  return H5Pset_file_locking(list, on ? 1 : 0, 1);
#else
  (void)list, (void)on;
  return 0;
#endif
}

// MARK: The error stack

typedef enum {
  CKPT_MINOR_OTHER,
  CKPT_MINOR_NOT_FOUND,
  CKPT_MINOR_NOT_HDF5,
  CKPT_MINOR_TRUNCATED,
  CKPT_MINOR_EXISTS,
  CKPT_MINOR_UNSUPPORTED,
  CKPT_MINOR_INPUT_OUTPUT,
  CKPT_MINOR_DAMAGED
} ckpt_minor;

/// What a minor error code means to a user.
static inline ckpt_minor ckpt_classify_minor(hid_t code) {
  if (code == H5E_NOTFOUND) return CKPT_MINOR_NOT_FOUND;
  if (code == H5E_NOTHDF5) return CKPT_MINOR_NOT_HDF5;
  if (code == H5E_TRUNCATED) return CKPT_MINOR_TRUNCATED;
  if (code == H5E_EXISTS || code == H5E_ALREADYEXISTS || code == H5E_FILEEXISTS) return CKPT_MINOR_EXISTS;
  if (code == H5E_UNSUPPORTED || code == H5E_NOFILTER) return CKPT_MINOR_UNSUPPORTED;
  if (code == H5E_WRITEERROR || code == H5E_SEEKERROR) return CKPT_MINOR_INPUT_OUTPUT;
  // A checksum that does not match is a "read error" too; a real one has the system's number in its message.
  if (code == H5E_READERROR) return CKPT_MINOR_DAMAGED;
  if (code == H5E_CANTLOAD || code == H5E_CANTDECODE || code == H5E_VERSION || code == H5E_OVERFLOW ||
      code == H5E_CANTUNSERIALIZE || code == H5E_BADMESG || code == H5E_CANTFILTER)
    return CKPT_MINOR_DAMAGED;
  return CKPT_MINOR_OTHER;
}

// MARK: Variable-length text

/// Bytes of a reference into the file's heap: length (4), address (8), index (4), little-endian.
#define CKPT_REFERENCE_BYTES 16

/// A conversion of variable-length text to 16 opaque bytes that leaves the stored reference as it is.
///
/// Needed because libhdf5 1.10 trusts the length in the reference: a heap object that is longer is copied over the
/// end of its buffer. With the bare reference the text can be read with the checks that are missing there.
static inline herr_t ckpt_keep_reference(
    hid_t source, hid_t target, H5T_cdata_t *data, size_t count, size_t stride, size_t background_stride, void *buffer,
    void *background, hid_t list) {
  (void)count, (void)stride, (void)background_stride, (void)buffer, (void)background, (void)list;
  if (data->command != H5T_CONV_INIT) return 0;
  data->need_bkg = H5T_BKG_NO;
  return H5Tis_variable_str(source) > 0 && H5Tget_size(source) == CKPT_REFERENCE_BYTES &&
                 H5Tget_size(target) == CKPT_REFERENCE_BYTES
             ? 0
             : -1;
}

/// The opaque type that stands for such a reference, with the conversion to it. To be made once.
static inline hid_t ckpt_make_reference_type(void) {
  hid_t text = H5Tcopy(H5T_C_S1);
  hid_t reference = H5Tcreate(H5T_OPAQUE, CKPT_REFERENCE_BYTES);
  herr_t status = -1;
  if (text >= 0 && reference >= 0 && H5Tset_size(text, H5T_VARIABLE) >= 0 &&
      H5Tset_tag(reference, "ckpt heap reference") >= 0)
    status = H5Tregister(H5T_PERS_SOFT, "ckpt heap reference", text, reference, ckpt_keep_reference);
  H5Tclose(text);
  return status >= 0 ? reference : -1;
}

/// Writes one text of variable length as an attribute, as h5py writes a `str`.
static inline herr_t ckpt_write_text(hid_t object, const char *name, const char *text, hid_t list) {
  hid_t type = H5Tcopy(H5T_C_S1);
  hid_t space = H5Screate(H5S_SCALAR);
  hid_t attribute = -1;
  herr_t status = -1;
  if (type >= 0 && space >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0)
    attribute = H5Acreate2(object, name, type, space, list, H5P_DEFAULT);
  if (attribute >= 0) status = H5Awrite(attribute, type, &text);
  H5Aclose(attribute);
  H5Sclose(space);
  H5Tclose(type);
  return status;
}

/// The descriptor of an open file, or -1, as for a file in memory.
static inline int ckpt_descriptor(hid_t file) {
  void *handle = NULL;
  hid_t list = H5Fget_access_plist(file);
  int has_descriptor = list >= 0 && H5Pget_driver(list) == H5FD_SEC2;
  H5Pclose(list);
  if (!has_descriptor) return -1;
  if (H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0 || !handle) return -1;
  return *(int *)handle;
}

/// Closes a file and gives up its lock. libhdf5 leaves that to the descriptor's end, but a program that was started
/// while the file was open has inherited the descriptor, and with it the lock.
static inline herr_t ckpt_close_file(hid_t file) {
  int is_last = H5Fget_obj_count(file, H5F_OBJ_FILE) == 1;
  int descriptor = is_last ? ckpt_descriptor(file) : -1;
  int lock = descriptor < 0 ? -1 : fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  herr_t status = H5Fclose(file);
  if (lock >= 0) {
    flock(lock, LOCK_UN);
    close(lock);
  }
  return status;
}

// MARK: Files in memory

// libhdf5 copies an image that it is given, several times; with these it reads the bytes where they are. It never
// writes to a file that was opened for reading.
static inline void *ckpt_image_take(size_t bytes, H5FD_file_image_op_t operation, void *image) {
  (void)bytes, (void)operation;
  return image;
}
static inline void *ckpt_image_copy(
    void *target, const void *source, size_t bytes, H5FD_file_image_op_t operation, void *image) {
  (void)bytes, (void)operation;
  return target == image && source == image ? target : NULL;
}
static inline void *ckpt_image_grow(void *from, size_t bytes, H5FD_file_image_op_t operation, void *image) {
  (void)from, (void)bytes, (void)operation, (void)image;
  return NULL;
}
static inline herr_t ckpt_image_leave(void *from, H5FD_file_image_op_t operation, void *image) {
  (void)from, (void)operation, (void)image;
  return 0;
}
static inline void *ckpt_image_share(void *image) { return image; }
static inline herr_t ckpt_image_forget(void *image) {
  (void)image;
  return 0;
}

/// Makes an access list open the file that lies in memory at `image`, which has to stay there until it is closed.
static inline herr_t ckpt_set_image(hid_t list, const void *image, size_t bytes) {
  void *start = (void *)image;
  H5FD_file_image_callbacks_t calls = {ckpt_image_take,  ckpt_image_copy,   ckpt_image_grow, ckpt_image_leave,
                                       ckpt_image_share, ckpt_image_forget, start};
  if (H5Pset_fapl_core(list, 1 << 16, 0) < 0) return -1;
  if (H5Pset_file_image_callbacks(list, &calls) < 0) return -1;
  return H5Pset_file_image(list, start, bytes);
}

// MARK: Chunks

/// Reads a chunk as it is stored. `bytes` is the room for it.
static inline herr_t ckpt_read_chunk(
    hid_t dataset, const hsize_t *offset, uint32_t *skipped_filters, void *buffer, size_t bytes) {
#ifdef H5Dread_chunk  // A macro since HDF5 2.0, which takes the size along.
  size_t room = bytes;
  if (H5Dread_chunk2(dataset, H5P_DEFAULT, offset, skipped_filters, buffer, &room) < 0) return -1;
  return room <= bytes ? 0 : -1;
#else
  (void)bytes;
  return H5Dread_chunk(dataset, H5P_DEFAULT, offset, skipped_filters, buffer);
#endif
}

/// Inflates a whole zlib stream. Returns the number of bytes, or -1 when it is damaged or does not fit.
static inline int64_t ckpt_inflate(const void *source, size_t source_bytes, void *target, size_t target_bytes) {
  uLongf count = target_bytes;
  int status = uncompress((Bytef *)target, &count, (const Bytef *)source, source_bytes);
  return status == Z_OK ? (int64_t)count : -1;
}

// MARK: Links and objects

typedef struct {
  const char *name;
  int type;          // H5L_type_t
  int64_t order;     // of creation, where the group keeps it
  uint64_t address;  // of the object, for hard links
  size_t value_size; // of the stored target, for all others
} ckpt_link;

typedef herr_t (*ckpt_link_visitor)(const ckpt_link *link, void *context);

typedef struct {
  ckpt_link_visitor visit;
  void *context;
  hid_t group;
} ckpt_link_iteration;

typedef struct {
  int type; // H5O_type_t
  uint64_t address;
  unsigned reference_count;
} ckpt_object;

#if CKPT_VERSION_GE(1, 12, 0)
typedef H5L_info2_t ckpt_raw_link_info;
typedef H5O_info2_t ckpt_raw_object_info;

static inline herr_t ckpt_token_address(hid_t id, H5O_token_t token, uint64_t *address) {
  haddr_t value = HADDR_UNDEF;
  herr_t status = H5VLnative_token_to_addr(id, token, &value);
  *address = value;
  return status;
}
static inline herr_t ckpt_link_address(hid_t group, const H5L_info2_t *info, uint64_t *address) {
  return ckpt_token_address(group, info->u.token, address);
}
static inline herr_t ckpt_object_address(hid_t id, const H5O_info2_t *info, uint64_t *address) {
  return ckpt_token_address(id, info->token, address);
}
#else
typedef H5L_info_t ckpt_raw_link_info;
typedef H5O_info_t ckpt_raw_object_info;

static inline herr_t ckpt_link_address(hid_t group, const H5L_info_t *info, uint64_t *address) {
  (void)group;
  *address = info->u.address;
  return 0;
}
static inline herr_t ckpt_object_address(hid_t id, const H5O_info_t *info, uint64_t *address) {
  (void)id;
  *address = info->addr;
  return 0;
}
#endif

static inline herr_t ckpt_link_from(hid_t group, const char *name, const ckpt_raw_link_info *info, ckpt_link *link) {
  link->name = name;
  link->type = info->type;
  link->order = info->corder;
  link->address = 0;
  link->value_size = 0;
  if (info->type == H5L_TYPE_HARD) return ckpt_link_address(group, info, &link->address);
  link->value_size = info->u.val_size;
  return 0;
}

static inline herr_t ckpt_link_callback(hid_t group, const char *name, const ckpt_raw_link_info *info, void *data) {
  ckpt_link_iteration *iteration = (ckpt_link_iteration *)data;
  ckpt_link link;
  (void)group;
  if (ckpt_link_from(iteration->group, name, info, &link) < 0) return -1;
  return iteration->visit(&link, iteration->context);
}

/// Visits each link of `group`, in the order of the index.
///
/// Never in a sorted order: for that libhdf5 makes a table of the claimed number of links, and frees entries that it
/// has not set when the index turns out to be damaged.
static inline herr_t ckpt_iterate_links(hid_t group, int by_creation, ckpt_link_visitor visit, void *context) {
  ckpt_link_iteration iteration = {visit, context, group};
  hsize_t position = 0;
  H5_index_t index = by_creation ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
#if CKPT_VERSION_GE(1, 12, 0)
  return H5Literate2(group, index, H5_ITER_NATIVE, &position, ckpt_link_callback, &iteration);
#else
  return H5Literate(group, index, H5_ITER_NATIVE, &position, ckpt_link_callback, &iteration);
#endif
}

static inline herr_t ckpt_get_link(hid_t group, const char *name, ckpt_link *link) {
  ckpt_raw_link_info info;
#if CKPT_VERSION_GE(1, 12, 0)
  if (H5Lget_info2(group, name, &info, H5P_DEFAULT) < 0) return -1;
#else
  if (H5Lget_info(group, name, &info, H5P_DEFAULT) < 0) return -1;
#endif
  return ckpt_link_from(group, name, &info, link);
}

static inline herr_t ckpt_object_from(hid_t id, const ckpt_raw_object_info *info, ckpt_object *object) {
  object->type = info->type;
  object->reference_count = info->rc;
  return ckpt_object_address(id, info, &object->address);
}

/// The object that `name` in `group` leads to; `name` NULL: the object of the id itself.
static inline herr_t ckpt_get_object(hid_t group, const char *name, ckpt_object *object) {
  ckpt_raw_object_info info;
  const char *path = name ? name : ".";
#if CKPT_VERSION_GE(1, 12, 0)
  if (H5Oget_info_by_name3(group, path, &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0) return -1;
#else
  if (H5Oget_info_by_name2(group, path, &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0) return -1;
#endif
  return ckpt_object_from(group, &info, object);
}

#endif
