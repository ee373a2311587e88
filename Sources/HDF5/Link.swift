internal import CHDF5

/// One entry of a group.
public struct Link: Equatable, Sendable {
  public enum Kind: Equatable, Sendable {
    /// Leads to an object of this file.
    case hard
    /// A path in this file, which may lead nowhere.
    case soft(target: String)
    /// A path in another file.
    case external(file: String, target: String)
    /// A link class that an application has defined.
    case userDefined
  }

  public let name: String
  public let kind: Kind
  /// Address of the object in the file, for hard links: two links to one object have the same.
  public let address: UInt64?
  /// What the link leads to: for hard links, and only in a full listing.
  public let object: ObjectInfo?
}

/// What is known of an object without opening it.
public struct ObjectInfo: Equatable, Sendable {
  public enum Kind: Equatable, Sendable {
    case group
    case dataset
    /// A datatype stored under a name.
    case namedType
    case other
  }

  public let kind: Kind
  /// Where the object's header is in the file.
  public let address: UInt64
  /// Number of hard links to the object.
  public let referenceCount: Int

  init(_ object: ckpt_object) {
    switch H5O_type_t(object.type) {
    case H5O_TYPE_GROUP: kind = .group
    case H5O_TYPE_DATASET: kind = .dataset
    case H5O_TYPE_NAMED_DATATYPE: kind = .namedType
    default: kind = .other
    }
    address = object.address
    referenceCount = Int(object.reference_count)
  }
}
