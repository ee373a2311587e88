import HDF5
import Testing
