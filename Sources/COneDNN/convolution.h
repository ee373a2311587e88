// Convolutions by oneDNN, over images with the channels next to one another (N, H, W, C).
//
// A pass is one of the three computations of one shape: ready to run, by several threads at once. oneDNN's own threads
// are never used (the caller has told OpenMP): each thread of ours calls it for images of its own, so that results do
// not depend on how many there are. Filters are put in the order that a pass likes best, once for all threads.
#ifndef CKPT_ONEDNN_CONVOLUTION_H
#define CKPT_ONEDNN_CONVOLUTION_H

#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_debug.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef enum { ck_conv_forward, ck_conv_backward_data, ck_conv_backward_weights } ck_conv_kind;

typedef struct {
  int64_t batch, groups, in_channels, out_channels, height, width, out_height, out_width;
  int64_t kernel[2], stride[2], padding[2], dilation[2];
  /// Whether `ck_conv_forward` adds a bias.
  int bias;
} ck_conv_shape;

typedef struct ck_conv_pass ck_conv_pass;

#if DNNL_VERSION_MAJOR == 2

struct ck_conv_pass {
  ck_conv_kind kind;
  int bias;
  dnnl_engine_t engine;
  dnnl_primitive_t run, reorder;
  dnnl_memory_desc_t images, plain, filters, vector, results, scratch;
};

/// The engine, one for the process and never given back: a pass runs only on streams of the very engine that it was
/// made with (oneDNN says `invalid_arguments` else), and threads share passes.
static inline dnnl_engine_t ck_conv_engine(void) {
  static _Atomic(dnnl_engine_t) shared;
  dnnl_engine_t engine = atomic_load(&shared), none = NULL;
  if (engine) return engine;
  if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success) return NULL;
  if (atomic_compare_exchange_strong(&shared, &none, engine)) return engine;
  // Another thread was faster.
  dnnl_engine_destroy(engine);
  return none;
}

static inline int ck_conv_describe(const ck_conv_shape *s, dnnl_memory_desc_t *images, dnnl_memory_desc_t *plain,
                                   dnnl_memory_desc_t *any, dnnl_memory_desc_t *vector, dnnl_memory_desc_t *results) {
  const dnnl_dims_t in = {s->batch, s->in_channels, s->height, s->width};
  const dnnl_dims_t out = {s->batch, s->out_channels, s->out_height, s->out_width};
  const dnnl_dims_t one = {s->out_channels};
  const int64_t outputs = s->out_channels / s->groups, inputs = s->in_channels / s->groups;
  const dnnl_dims_t grouped = {s->groups, outputs, inputs, s->kernel[0], s->kernel[1]};
  const dnnl_dims_t whole = {outputs, inputs, s->kernel[0], s->kernel[1]};
  const int rank = s->groups > 1 ? 5 : 4;
  const int64_t *filter = s->groups > 1 ? grouped : whole;
  const dnnl_format_tag_t rows = s->groups > 1 ? dnnl_goihw : dnnl_oihw;
  return dnnl_memory_desc_init_by_tag(images, 4, in, dnnl_f32, dnnl_nhwc) == dnnl_success &&
         dnnl_memory_desc_init_by_tag(results, 4, out, dnnl_f32, dnnl_nhwc) == dnnl_success &&
         dnnl_memory_desc_init_by_tag(vector, 1, one, dnnl_f32, dnnl_x) == dnnl_success &&
         dnnl_memory_desc_init_by_tag(plain, rank, filter, dnnl_f32, rows) == dnnl_success &&
         dnnl_memory_desc_init_by_tag(any, rank, filter, dnnl_f32, dnnl_format_tag_any) == dnnl_success;
}

/// What oneDNN would do for a pass; NULL when it cannot.
static inline dnnl_primitive_desc_t ck_conv_plan(const ck_conv_shape *s, ck_conv_kind kind, dnnl_primitive_desc_t hint,
                                                 ck_conv_pass *pass) {
  dnnl_memory_desc_t any;
  if (!ck_conv_describe(s, &pass->images, &pass->plain, &any, &pass->vector, &pass->results)) return NULL;
  const dnnl_dims_t strides = {s->stride[0], s->stride[1]};
  const dnnl_dims_t padding = {s->padding[0], s->padding[1]};
  const dnnl_dims_t gaps = {s->dilation[0] - 1, s->dilation[1] - 1};
  const dnnl_memory_desc_t *bias = s->bias ? &pass->vector : NULL;
  dnnl_convolution_desc_t wanted;
  dnnl_status_t status;
  switch (kind) {
    case ck_conv_forward:
      status = dnnl_dilated_convolution_forward_desc_init(&wanted, dnnl_forward_training, dnnl_convolution_direct,
                                                          &pass->images, &any, bias, &pass->results, strides, gaps,
                                                          padding, padding);
      break;
    case ck_conv_backward_data:
      status = dnnl_dilated_convolution_backward_data_desc_init(&wanted, dnnl_convolution_direct, &pass->images, &any,
                                                                &pass->results, strides, gaps, padding, padding);
      break;
    default:
      status = dnnl_dilated_convolution_backward_weights_desc_init(&wanted, dnnl_convolution_direct, &pass->images,
                                                                   &any, NULL, &pass->results, strides, gaps, padding,
                                                                   padding);
  }
  if (status != dnnl_success) return NULL;
  dnnl_primitive_attr_t settings = NULL;
  dnnl_primitive_desc_t plan = NULL;
  if (dnnl_primitive_attr_create(&settings) != dnnl_success) return NULL;
  // Memory to work with is the caller's, since threads share the pass.
  if (dnnl_primitive_attr_set_scratchpad_mode(settings, dnnl_scratchpad_mode_user) != dnnl_success ||
      dnnl_primitive_desc_create(&plan, &wanted, settings, pass->engine, hint) != dnnl_success)
    plan = NULL;
  dnnl_primitive_attr_destroy(settings);
  return plan;
}

/// The copy between filters as PyTorch has them and as the pass has them.
static inline dnnl_primitive_t ck_conv_reorder(const ck_conv_pass *pass) {
  const int out = pass->kind == ck_conv_backward_weights;
  const dnnl_memory_desc_t *from = out ? &pass->filters : &pass->plain, *to = out ? &pass->plain : &pass->filters;
  dnnl_primitive_desc_t plan = NULL;
  dnnl_primitive_t made = NULL;
  if (dnnl_reorder_primitive_desc_create(&plan, from, pass->engine, to, pass->engine, NULL) != dnnl_success)
    return NULL;
  if (dnnl_primitive_create(&made, plan) != dnnl_success) made = NULL;
  dnnl_primitive_desc_destroy(plan);
  return made;
}

static inline void ck_conv_free(ck_conv_pass *pass) {
  if (!pass) return;
  if (pass->run) dnnl_primitive_destroy(pass->run);
  if (pass->reorder) dnnl_primitive_destroy(pass->reorder);
  free(pass);
}

/// A pass over `shape.batch` images; NULL when oneDNN cannot.
static inline ck_conv_pass *ck_conv_create(const ck_conv_shape *shape, ck_conv_kind kind) {
  ck_conv_pass *pass = calloc(1, sizeof *pass);
  if (!pass) return NULL;
  pass->engine = ck_conv_engine();
  if (!pass->engine) {
    free(pass);
    return NULL;
  }
  dnnl_primitive_desc_t hint = NULL, plan = NULL;
  if (kind != ck_conv_forward) hint = ck_conv_plan(shape, ck_conv_forward, NULL, pass);
  if (kind == ck_conv_forward || hint) plan = ck_conv_plan(shape, kind, hint, pass);
  if (hint) dnnl_primitive_desc_destroy(hint);
  pass->kind = kind;
  pass->bias = shape->bias && kind == ck_conv_forward;
  if (plan) {
    const int gradient = kind == ck_conv_backward_weights;
    const dnnl_memory_desc_t *filters =
        dnnl_primitive_desc_query_md(plan, gradient ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    const dnnl_memory_desc_t *scratch = dnnl_primitive_desc_query_md(plan, dnnl_query_scratchpad_md, 0);
    if (filters) pass->filters = *filters;
    if (scratch) pass->scratch = *scratch;
    if (!filters || dnnl_primitive_create(&pass->run, plan) != dnnl_success) pass->run = NULL;
    dnnl_primitive_desc_destroy(plan);
  }
  if (pass->run) pass->reorder = ck_conv_reorder(pass);
  if (pass->reorder) return pass;
  ck_conv_free(pass);
  return NULL;
}

/// How many bytes the filters take in the order of the pass, which may be padded.
static inline size_t ck_conv_filter_bytes(const ck_conv_pass *pass) {
  return dnnl_memory_desc_get_size(&pass->filters);
}

/// How much memory to work with a run needs.
static inline size_t ck_conv_scratch_bytes(const ck_conv_pass *pass) {
  return dnnl_memory_desc_get_size(&pass->scratch);
}

/// Runs a primitive of the pass. What is made for it costs less than a microsecond, and belongs to this thread. Gives
/// oneDNN's status: 0 for success.
static inline int ck_conv_execute(const ck_conv_pass *pass, dnnl_primitive_t primitive, int count, const int *names,
                                  const dnnl_memory_desc_t **kinds, void **places) {
  dnnl_stream_t stream = NULL;
  dnnl_status_t status = dnnl_stream_create(&stream, pass->engine, dnnl_stream_default_flags);
  if (status != dnnl_success) return status;
  dnnl_exec_arg_t arguments[5];
  int made = 0;
  for (; made < count; made++) {
    arguments[made].arg = names[made];
    status = dnnl_memory_create(&arguments[made].memory, kinds[made], pass->engine, places[made]);
    if (status != dnnl_success) break;
  }
  if (status == dnnl_success) status = dnnl_primitive_execute(primitive, stream, count, arguments);
  if (status == dnnl_success) status = dnnl_stream_wait(stream);
  for (int i = 0; i < made; i++) dnnl_memory_destroy(arguments[i].memory);
  dnnl_stream_destroy(stream);
  return status;
}

/// Filters from PyTorch's order to that of the pass, or for `ck_conv_backward_weights` the other way round. Gives
/// oneDNN's status.
static inline int ck_conv_reorder_filters(const ck_conv_pass *pass, const float *from, float *to) {
  const int out = pass->kind == ck_conv_backward_weights;
  const int names[] = {DNNL_ARG_FROM, DNNL_ARG_TO};
  const dnnl_memory_desc_t *kinds[] = {out ? &pass->filters : &pass->plain, out ? &pass->plain : &pass->filters};
  void *places[] = {(void *)from, to};
  return ck_conv_execute(pass, pass->reorder, 2, names, kinds, places);
}

/// One run. `images` and `results` are values or gradients, `filters` lie in the order of the pass; which of them is
/// written depends on the kind. `bias` is looked at by `ck_conv_forward` alone. Gives oneDNN's status.
static inline int ck_conv_run(const ck_conv_pass *pass, float *images, float *filters, float *bias, float *results,
                              void *scratch) {
  const int table[3][3] = {
      {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
      {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
      {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
  };
  const int *row = table[pass->kind];
  const int names[] = {row[0], row[1], row[2], DNNL_ARG_SCRATCHPAD, DNNL_ARG_BIAS};
  const dnnl_memory_desc_t *kinds[] = {&pass->images, &pass->filters, &pass->results, &pass->scratch, &pass->vector};
  void *places[] = {images, filters, results, scratch, bias};
  return ck_conv_execute(pass, pass->run, pass->bias ? 5 : 4, names, kinds, places);
}

#else

// The calls changed in oneDNN 3. There the convolution over matrix products is used.
struct ck_conv_pass {
  int unused;
};
static inline ck_conv_pass *ck_conv_create(const ck_conv_shape *shape, ck_conv_kind kind) { return NULL; }
static inline void ck_conv_free(ck_conv_pass *pass) {}
static inline size_t ck_conv_filter_bytes(const ck_conv_pass *pass) { return 0; }
static inline size_t ck_conv_scratch_bytes(const ck_conv_pass *pass) { return 0; }
static inline int ck_conv_reorder_filters(const ck_conv_pass *pass, const float *from, float *to) {
  return dnnl_unimplemented;
}
static inline int ck_conv_run(const ck_conv_pass *pass, float *images, float *filters, float *bias, float *results,
                              void *scratch) {
  return dnnl_unimplemented;
}

#endif

/// A status in oneDNN's words.
static inline const char *ck_conv_status_name(int status) { return dnnl_status2str((dnnl_status_t)status); }

#endif
