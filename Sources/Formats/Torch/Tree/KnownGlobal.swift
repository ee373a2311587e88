import Checkpoint

/// What is known of a class or function that a pickle names. Nothing here is ever called: a name selects how its
/// arguments are read.
enum KnownGlobal: Sendable {
  case orderedDict, defaultDict, counter
  case sequence(Value.Sequence)
  case dict, bytes, byteArray, complex, encode
  case size, device, layout
  case dtype(String)
  case qscheme(String)
  case storage(TorchTypes.Storage)
  case legacyTensor(DType)
  case rebuildTensor, rebuildTensorV2, rebuildTensorV3
  case rebuildParameter, rebuildParameterWithState, rebuildFromType
  case rebuildSparse, rebuildQuantized, rebuildMeta, rebuildNested, rebuildWrapper
  case deviceFromNumPy, deviceFromTensor
  case reconstructor
  case loadFromBytes
  /// How torch.fx pickles a module of generated code: (its `__dict__`, the source of imports).
  case graphModule
  /// How torch.compile pickles a module: (the module, what compiles it).
  case compiledModule
  /// What TorchScript writes around lists and dicts, to say their type; the first argument is the value.
  case typedValue
  /// `Variable` and `Parameter` as classes, which were called until PyTorch 0.4.
  case oldVariable(Tensor.Kind)
  case joblibArray
  case numpyScalar, numpyReconstruct, numpyFromBuffer, numpyDType
  case unknown

  init(_ global: PickleGlobal) {
    let name = global.name
    switch Self.modern(global.module) {
    case "builtins": self = Self.builtin(name)
    case "collections": self = Self.collection(name)
    case "_codecs": self = name == "encode" ? .encode : .unknown
    case "copyreg": self = name == "_reconstructor" ? .reconstructor : .unknown
    case "torch.storage" where name == "_load_from_bytes": self = .loadFromBytes
    case "torch", "torch.cuda", "torch.storage": self = Self.torch(global)
    case "torch._utils": self = Self.rebuild(name)
    case "torch._dynamo.eval_frame": self = name == "OptimizedModule" ? .compiledModule : .unknown
    case "torch.jit._pickle":
      self = name == "restore_type_tag" || name.hasPrefix("build_") ? .typedValue : .unknown
    case "torch.fx.graph_module": self = name.hasPrefix("reduce_") ? .graphModule : .unknown
    case "torch._tensor": self = name == "_rebuild_from_type_v2" ? .rebuildFromType : .unknown
    case "torch.nn.parameter": self = name == "Parameter" ? .oldVariable(.parameter) : .unknown
    case "torch.autograd.variable": self = name == "Variable" ? .oldVariable(.tensor) : .unknown
    case "joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle":
      self = name == "NumpyArrayWrapper" ? .joblibArray : .unknown
    case "torch.serialization": self = name == "_get_layout" ? .layout : .unknown
    case "numpy": self = name == "dtype" ? .numpyDType : .unknown
    case "numpy.core.multiarray":
      self = name == "scalar" ? .numpyScalar : name == "_reconstruct" ? .numpyReconstruct : .unknown
    case "numpy.core.numeric": self = name == "_frombuffer" ? .numpyFromBuffer : .unknown
    default: self = .unknown
    }
  }

  /// Python 2's module names, and NumPy 2's private ones, as the names they stand for.
  static func modern(_ module: String) -> String {
    switch module {
    case "__builtin__": "builtins"
    case "copy_reg": "copyreg"
    case _ where module.hasPrefix("numpy._core."): "numpy.core." + module.dropFirst("numpy._core.".count)
    default: module
    }
  }

  /// Python 2's names of built-in types, which protocol 2 writes whatever Python wrote it.
  static func modern(builtin name: String) -> String {
    switch name {
    case "long": "int"
    case "unicode", "basestring": "str"
    case "xrange": "range"
    case "unichr": "chr"
    default: name
    }
  }

  private static func builtin(_ name: String) -> KnownGlobal {
    switch name {
    case "set": .sequence(.set)
    case "frozenset": .sequence(.frozenset)
    case "list": .sequence(.list)
    case "tuple": .sequence(.tuple)
    case "dict": .dict
    case "bytes": .bytes
    case "bytearray": .byteArray
    case "complex": .complex
    default: .unknown
    }
  }

  private static func collection(_ name: String) -> KnownGlobal {
    switch name {
    case "OrderedDict": .orderedDict
    case "defaultdict": .defaultDict
    case "Counter": .counter
    default: .unknown
    }
  }

  private static func torch(_ global: PickleGlobal) -> KnownGlobal {
    let name = global.name
    if let storage = TorchTypes.storage(module: global.module, name: name) { return .storage(storage) }
    guard global.module != "torch.storage" else { return .unknown }
    if let dtype = TorchTypes.legacyTensor(name) { return .legacyTensor(dtype) }
    guard global.module == "torch" else { return .unknown }
    if let dtype = DType(rawValue: name), TorchTypes.exists(dtype) { return .dtype(name) }
    if TorchTypes.qschemes.contains(name) { return .qscheme(name) }
    return name == "Size" ? .size : name == "device" ? .device : .unknown
  }

  private static func rebuild(_ name: String) -> KnownGlobal {
    switch name {
    case "_rebuild_tensor": .rebuildTensor
    case "_rebuild_tensor_v2": .rebuildTensorV2
    case "_rebuild_tensor_v3": .rebuildTensorV3
    case "_rebuild_parameter": .rebuildParameter
    case "_rebuild_parameter_with_state": .rebuildParameterWithState
    case "_rebuild_sparse_tensor", "_rebuild_sparse_csr_tensor": .rebuildSparse
    case "_rebuild_qtensor": .rebuildQuantized
    case "_rebuild_meta_tensor_no_storage": .rebuildMeta
    case "_rebuild_nested_tensor": .rebuildNested
    case "_rebuild_wrapper_subclass": .rebuildWrapper
    case "_rebuild_device_tensor_from_numpy", "_rebuild_xla_tensor": .deviceFromNumPy
    case "_rebuild_device_tensor_from_cpu_tensor": .deviceFromTensor
    default: .unknown
    }
  }
}

extension PickleGlobal {
  /// The full name as Python 3 has it.
  var modernName: String {
    let module = KnownGlobal.modern(module)
    return "\(module).\(module == "builtins" ? KnownGlobal.modern(builtin: name) : name)"
  }

  var isGetattr: Bool { name == "getattr" && KnownGlobal.modern(module) == "builtins" }

  /// Whether this runs code, starts programs or reaches files. No checkpoint has a reason to name such a thing: a file
  /// that does was made to attack whoever loads it with Python. (Nothing of it is run here.)
  var isDangerous: Bool {
    let module = KnownGlobal.modern(module)
    let top = module.split(separator: ".").first.map(String.init) ?? module
    if Self.dangerousModules.contains(top) { return true }
    let outer = name.split(separator: ".").first.map(String.init) ?? name
    switch module {
    case "builtins": return Self.dangerousBuiltins.contains(outer)
    case "types": return outer == "FunctionType" || outer == "CodeType" || outer == "LambdaType"
    case "torch.hub", "torch.jit", "torch.package", "torch.utils.cpp_extension": return outer.utf8.first != 0x5F
    case "numpy.testing._private.utils": return outer == "runstring"
    default: return false
    }
  }

  private static let dangerousModules: Set<String> = [
    "os", "posix", "nt", "subprocess", "sys", "importlib", "imp", "runpy", "pty", "socket", "shutil", "ctypes", "code",
    "codeop", "commands", "pdb", "bdb", "cProfile", "profile", "trace", "timeit", "webbrowser", "pip", "ensurepip",
    "marshal", "pickle", "_pickle", "dill", "cloudpickle", "multiprocessing", "asyncio", "http", "urllib", "requests",
    "smtplib", "ftplib", "telnetlib", "signal", "tempfile", "pydoc", "platform", "idlelib", "venv", "doctest",
  ]

  private static let dangerousBuiltins: Set<String> = [
    "eval", "exec", "execfile", "compile", "open", "file", "input", "breakpoint", "__import__", "getattr", "setattr",
    "delattr", "globals", "locals", "vars", "apply", "map", "filter",
  ]
}
