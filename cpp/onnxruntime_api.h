// What onnxruntime_program.cpp uses of ONNX Runtime's C API.
//
// onnxruntime's wheel has the library, but not its header. The API is a table of functions; version 1 of
// it, which every release of the library still gives, only ever had functions added at its end. So a
// function is known by its place in the table, and neither the header nor a link to the library is
// needed. https://onnxruntime.ai/docs/api/c/struct_ort_api.html describes each function.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace runner::ort {

// The types of the API, of which only pointers are used.
struct Status;
struct Env;
struct Session;
struct SessionOptions;
struct RunOptions;
struct Value;
struct TypeInfo;
struct TensorInfo;
struct MemoryInfo;
struct Allocator;

enum LoggingLevel { kErrors = 3 };
enum AllocatorType { kArena = 1 };
enum MemoryType { kDefaultMemory = 0 };
enum ElementType {
  kFloat = 1, kUint8 = 2, kInt8 = 3, kInt16 = 5, kInt32 = 6, kInt64 = 7, kBool = 9, kFloat16 = 10,
  kDouble = 11, kBfloat16 = 16
};

// A function of the table, by its place.
template <typename Signature>
struct Function {
  size_t place;
};

constexpr Function<const char*(const Status*)> kGetErrorMessage{2};
constexpr Function<Status*(LoggingLevel, const char* name, Env**)> kCreateEnv{3};
constexpr Function<Status*(const Env*, const char* path, const SessionOptions*, Session**)>
    kCreateSession{7};
constexpr Function<Status*(Session*, const RunOptions*, const char* const* input_names,
                           const Value* const* inputs, size_t input_count,
                           const char* const* output_names, size_t output_count, Value** outputs)>
    kRun{9};
constexpr Function<Status*(SessionOptions**)> kCreateSessionOptions{10};
constexpr Function<Status*(SessionOptions*, int)> kSetIntraOpNumThreads{24};
constexpr Function<Status*(const Session*, size_t*)> kGetInputCount{30};
constexpr Function<Status*(const Session*, size_t*)> kGetOutputCount{31};
constexpr Function<Status*(const Session*, size_t, TypeInfo**)> kGetInputTypeInfo{33};
constexpr Function<Status*(const Session*, size_t, TypeInfo**)> kGetOutputTypeInfo{34};
constexpr Function<Status*(const Session*, size_t, Allocator*, char**)> kGetInputName{36};
constexpr Function<Status*(const Session*, size_t, Allocator*, char**)> kGetOutputName{37};
constexpr Function<Status*(const MemoryInfo*, void* data, size_t bytes, const int64_t* shape,
                           size_t dimensions, ElementType, Value**)>
    kCreateTensorOfData{49};
constexpr Function<Status*(Value*, void**)> kGetData{51};
constexpr Function<Status*(const TypeInfo*, const TensorInfo**)> kCastToTensorInfo{55};
constexpr Function<Status*(const TensorInfo*, ElementType*)> kGetElementType{60};
constexpr Function<Status*(const TensorInfo*, size_t*)> kGetDimensionsCount{61};
constexpr Function<Status*(const TensorInfo*, int64_t*, size_t)> kGetDimensions{62};
constexpr Function<Status*(const Value*, TensorInfo**)> kGetTensorInfo{65};
constexpr Function<Status*(AllocatorType, MemoryType, MemoryInfo**)> kCreateCpuMemoryInfo{69};
constexpr Function<Status*(Allocator*, void*)> kFree{76};
constexpr Function<Status*(Allocator**)> kGetDefaultAllocator{78};
constexpr Function<void(Env*)> kReleaseEnv{92};
constexpr Function<void(Status*)> kReleaseStatus{93};
constexpr Function<void(MemoryInfo*)> kReleaseMemoryInfo{94};
constexpr Function<void(Session*)> kReleaseSession{95};
constexpr Function<void(Value*)> kReleaseValue{96};
constexpr Function<void(TypeInfo*)> kReleaseTypeInfo{98};
constexpr Function<void(TensorInfo*)> kReleaseTensorInfo{99};
constexpr Function<void(SessionOptions*)> kReleaseSessionOptions{100};

// The table of the library at `path`, which is opened at the first call and never closed. Throws
// Failure if it is not there or has no such table.
const void* const* open_table(const char* path);

// Calls a function of the table.
template <typename Result, typename... Parameters, typename... Arguments>
Result call(const void* const* table, Function<Result(Parameters...)> function,
            Arguments... arguments) {
  return reinterpret_cast<Result (*)(Parameters...)>(
      const_cast<void*>(table[function.place]))(arguments...);
}

// Throws std::runtime_error with the library's own words unless `status` is null.
void require(const void* const* table, Status* status);

// What the function makes as its last, outgoing argument, released by `release` in the end.
template <typename Made, typename... Parameters, typename... Arguments>
std::shared_ptr<Made> make(const void* const* table, Function<void(Made*)> release,
                           Function<Status*(Parameters...)> function, Arguments... arguments) {
  Made* made = nullptr;
  require(table, call(table, function, arguments..., &made));
  return {made, [table, release](Made* held) { call(table, release, held); }};
}

}  // namespace runner::ort
