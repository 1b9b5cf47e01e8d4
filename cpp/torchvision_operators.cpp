// torchvision's operators, such as nms, for a process without Python.
//
// The library that registers them is linked with libtorch_python.so, because it is built as an extension
// of Python; it uses no symbol of it. The real one cannot be opened without Python. So this library,
// which has no code, bears that name and is linked with torchvision's: whoever opens it opens both, and
// the loader finds the name taken. program.cpp opens it for the first file that uses such an operator.
