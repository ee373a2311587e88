import Checkpoint

/// The types of `Record` that a PyTorch file may give, and their fields. Other formats store them by these names, and
/// the writer turns them back into what they were, so the names never change.
enum TorchRecord {
  /// A sparse tensor. COO: `layout` (token), `indices` (int64 tensor, [ndim, nnz]), `values`, `size` (torch.Size) and,
  /// where the file says it, `is_coalesced` (bool). CSR, CSC, BSR, BSC: `layout`, `compressed_indices`,
  /// `plain_indices`, `values`, `size`. A sparse tensor that requires gradients does not say so in a file.
  static let sparse = "torch.sparse"

  /// A quantised tensor: `tensor` (the integers; dtype qint8, quint8 or qint32 - for quint4x2 and quint2x4 the packed
  /// bytes as uint8, whose last dimension is shorter), `dtype` (token), `size` (torch.Size, the logical one),
  /// `qscheme` (token), per tensor `scale` (double) and `zero_point` (int), per channel `scales` and `zero_points`
  /// (tensors) and `axis` (int); `requires_grad` (bool).
  static let quantized = "torch.quantized"

  /// A tensor without data: `dtype` (token), `size` (torch.Size), `stride` (tuple of ints), `requires_grad` (bool).
  static let metaTensor = "torch.meta_tensor"

  /// A nested tensor: `buffer`, `sizes`, `strides`, `offsets` (tensors).
  static let nested = "torch.nested_tensor"

  /// A tensor (`tensor`: a tensor or another record) of class `class` (string; `torch.Tensor` or
  /// `torch.nn.parameter.Parameter` where it is no subclass) with Python attributes `state` (a dict, or what the class
  /// keeps instead).
  static let withAttributes = "torch.tensor_with_attributes"

  /// A tensor subclass that wraps others: `class` (string), `dtype`, `size`, `stride`, `storage_offset`, `layout`,
  /// `device`, `requires_grad`, and `state`, which holds the inner tensors.
  static let wrapper = "torch.wrapper_subclass"

  /// A tensor saved from an accelerator in another dtype than it had: `tensor` (as saved), `dtype` (token, as it was),
  /// `device` (string), `requires_grad` (bool).
  static let deviceTensor = "torch.device_tensor"

  /// A storage that is no tensor's: `tensor` (its elements as one dimension), `untyped` (bool).
  static let storage = "torch.storage"

  /// What a pickled module has besides its state dict: `class` (string), where there are any `state` (dict: its other
  /// attributes) and, for the outermost, `modules` (dict: full name -> such a record for each module below). Tensors are
  /// not in it: they are entries of the dict, and records `torch.reference` stand for them. Where it is a program of
  /// TorchScript, `constants` (tuple) is what the program names by number.
  static let module = PickledModule.type

  /// The attribute of a state dict that is such a record.
  static let moduleAttribute = PickledModule.attribute

  /// A tensor of the state dict that this belongs to, by `name` (string).
  static let reference = "torch.reference"

  /// `dtype` (NumPy's type string, as `<f4`; a `numpy.dtype` record where that cannot say it) and `value` (bool, int,
  /// double or complex; bytes where the type has no such value).
  static let numpyScalar = "numpy.scalar"

  /// `array` (tensor, row-major and little-endian), `dtype` (as above, the byte order it had), `fortran` (bool: it was
  /// column-major), and `class` (string) where it is a subclass. An array that no tensor can hold has `shape`
  /// (torch.Size) and `data` (bytes, or a list of objects) in place of `array`.
  static let numpyArray = "numpy.ndarray"

  /// `dtype` (type string), or `args` (tuple) and `state` (tuple) for a structured type.
  static let numpyDType = "numpy.dtype"

  /// An object of a class that is not known: `class` (string), and where there are any `args` (tuple), `kwargs` (dict),
  /// `state`, `items` (list), `pairs` (dict).
  static let object = "python.object"

  /// What a function would return: `class` (string: the function) or `callable` (record), `args` (tuple), and where
  /// there are any `state`, `items` (list), `pairs` (dict).
  static let reduce = "python.reduce"
}
