import Crypto

/// SHA-1, which ONNX has for files of external data. It is no guard against those who mean harm.
public enum SHA1 {
  /// As 40 hexadecimal digits.
  public static func text(of bytes: UnsafeRawBufferPointer) -> String {
    Insecure.SHA1.hash(data: bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
