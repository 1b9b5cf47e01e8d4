// The mode that deploybench uses: one process for a whole run.
//
// The line protocol, version 8. A request is a line of fields separated by tabs; the first field is
// the verb. The reply to each request is one line: `ok` and its fields; or `error` and a message,
// after which the process continues; or `fatal` and a message, after which the process ends. Replies
// go to the original standard output; anything that a model prints goes to standard error. Paths
// contain no tab and no newline.
//
//   hello                       ok  protocol=8  torch=VERSION  graphs=FLAG  pid=N
//   configure  NAME=VALUE ...   ok  NAME=VALUE ...     the settings in force afterwards, all fields
//   load  FILE  HOW  [RUNTIME]  ok                     loads a program onto the device
//   memory                      ok  BYTES              the peak on the device since `load`
//   put  FILE  TENSOR ...       ok                     sets the inputs of the following calls
//   run  COUNT                  ok                     untimed calls
//   time  COUNT  WHAT  FILE     ok                     timed calls; writes their samples to FILE
//   queue  COUNT  WHAT  FILE    ok                     calls back to back; one sample for all
//   events  COUNT  FILE         ok                     calls timed by CUDA events; only on CUDA
//   rest                        ok  FLAG               waits until no thread runs; 0 if one does
//   output  FILE                ok  TENSOR ...         writes the outputs of the latest call to FILE
//   unload                      ok                     unloads the model
//   quit                        ok                     ends, like the end of input
//
// The fields of `configure` are those of deploybench/settings.py; flags are 0 or 1. It also unloads
// the model. WHAT is `calls`, or `copies` for calls that also transfer their inputs from the host and
// their outputs back. HOW is `plain`, or `graph` to capture the program in a CUDA graph at its first
// call. RUNTIME runs an ONNX file: openvino, the default, or onnxruntime. COUNT is at most a million.
//
// A TENSOR is DTYPE:SHAPE:NAME, such as `float32:1,3,224,224:0`. DTYPE is float64, float32, float16,
// bfloat16, int64, int32, int16, int8, uint8 or bool; SHAPE is empty for a single value. Values are
// passed in files, never as text: those of all tensors of a request one after the other, raw and
// little-endian. Samples are passed in the same way, as float64 seconds.
//
// An input of floating point has the dtype of the settings, and with channels_last, one with four
// dimensions is laid out so; others are taken as they are.
//
// The NAME of an input is its position from 0, or the name of its parameter. The NAME of an output is
// its path in the return value: the keys of dictionaries, the fields of named tuples and the positions
// in tuples and lists, joined by dots, such as `0.boxes`; it is empty for a single tensor. None is
// left out. An AOTInductor package and an ONNX file have the names that they were exported with; see
// program.cpp.

#include "serve.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>

#include "failure.h"
#include "graph.h"
#include "idle.h"
#include "session.h"
#include "tensors.h"
#include "text.h"

namespace runner {

namespace {

using Fields = std::vector<std::string>;

// Whether `given` is the second of the two allowed words. Throws Failure for any other word.
bool one_of(const std::string& given, const std::string& first, const std::string& second) {
  if (given != first && given != second)
    throw Failure("'" + given + "' is neither " + first + " nor " + second);
  return given == second;
}

bool with_copies(const std::string& what) { return one_of(what, "calls", "copies"); }

Settings read_settings(const Fields& fields) {
  std::map<std::string, std::string> given;
  for (const auto& field : fields) {
    const auto equals = field.find('=');
    if (equals == std::string::npos) throw Failure("'" + field + "' is not NAME=VALUE");
    given[field.substr(0, equals)] = field.substr(equals + 1);
  }
  const auto take = [&](const char* name) {
    const auto found = given.find(name);
    if (found == given.end()) throw Failure(std::string("configure needs ") + name);
    const std::string value = found->second;
    given.erase(found);
    return value;
  };
  const auto flag = [&](const char* name) { return one_of(take(name), "0", "1"); };
  Settings settings;
  settings.device = take("device");
  settings.threads = whole_number(take("threads"));
  settings.interop_threads = whole_number(take("interop_threads"));
  settings.grad_mode = take("grad_mode");
  settings.cudnn_tf32 = flag("cudnn_tf32");
  settings.matmul_precision = take("matmul_precision");
  settings.cudnn_benchmark = flag("cudnn_benchmark");
  settings.cudnn_deterministic = flag("cudnn_deterministic");
  settings.dtype = take("dtype");
  settings.channels_last = flag("channels_last");
  settings.allocator = take("allocator");
  settings.cpu_mask = take("cpu_mask");
  if (!given.empty()) throw Failure("unknown setting '" + given.begin()->first + "'");
  return settings;
}

Fields write_settings(const Settings& settings) {
  const auto flag = [](bool on) { return on ? "1" : "0"; };
  return {"device=" + settings.device,
          "threads=" + std::to_string(settings.threads),
          "interop_threads=" + std::to_string(settings.interop_threads),
          "grad_mode=" + settings.grad_mode,
          std::string("cudnn_tf32=") + flag(settings.cudnn_tf32),
          "matmul_precision=" + settings.matmul_precision,
          std::string("cudnn_benchmark=") + flag(settings.cudnn_benchmark),
          std::string("cudnn_deterministic=") + flag(settings.cudnn_deterministic),
          "dtype=" + settings.dtype,
          std::string("channels_last=") + flag(settings.channels_last),
          "allocator=" + settings.allocator,
          "cpu_mask=" + settings.cpu_mask};
}

Fields greeting() {
  return {"protocol=8", "torch=" + torch_version(),
          std::string("graphs=") + (kHasGraphs ? "1" : "0"), "pid=" + std::to_string(getpid())};
}

void load(Session& session, const Fields& given) {
  session.load(given[0], one_of(given[1], "plain", "graph"),
               given.size() > 2 ? given[2] : kDefaultRuntime);
}

void put(Session& session, const Fields& given) {
  std::vector<Description> descriptions;
  for (size_t index = 1; index < given.size(); ++index)
    descriptions.push_back(parse_description(given[index]));
  session.put(read_tensors(given[0], descriptions));
}

Fields write_outputs(const Session& session, const std::string& path) {
  const NamedTensors outputs = session.outputs();
  Fields descriptions;
  for (const auto& output : outputs) descriptions.push_back(describe(output));
  write_tensors(path, outputs);
  return descriptions;
}

void write_samples(const std::string& path, const std::vector<double>& samples) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(samples.data()),
             std::streamsize(samples.size() * sizeof(double)));
  file.close();
  if (!file) throw Failure(path + ": cannot be written");
}

// The minimum and maximum number of a verb's arguments.
struct Arity {
  size_t least;
  size_t most;
};

constexpr size_t kAny = SIZE_MAX;

const std::map<std::string, Arity> kVerbs = {
    {"hello", {0, 0}},  {"configure", {0, kAny}}, {"load", {2, 3}}, {"memory", {0, 0}},
    {"put", {2, kAny}}, {"run", {1, 1}},          {"time", {3, 3}}, {"queue", {3, 3}},
    {"events", {2, 2}}, {"rest", {0, 0}},         {"output", {1, 1}}, {"unload", {0, 0}},
    {"quit", {0, 0}}};

void check_arguments(const std::string& verb, size_t count) {
  const auto known = kVerbs.find(verb);
  if (known == kVerbs.end()) throw Failure("unknown verb '" + verb + "'");
  const auto [least, most] = known->second;
  if (count < least || count > most)
    throw Failure("'" + verb + "' takes " + (most == kAny ? "at least " : "") +
                  std::to_string(least) + (least == 1 ? " argument" : " arguments") + ", not " +
                  std::to_string(count));
}

// The fields of the reply to a request, after `ok`.
Fields answer(Session& session, const std::string& line) {
  Fields given = split(line, '\t');
  const std::string verb = given[0];
  given.erase(given.begin());
  check_arguments(verb, given.size());
  if (verb == "hello") return greeting();
  if (verb == "configure") return write_settings(session.configure(read_settings(given)));
  if (verb == "memory") return {std::to_string(session.peak_device_bytes())};
  if (verb == "output") return write_outputs(session, given[0]);
  if (verb == "load") load(session, given);
  if (verb == "put") put(session, given);
  if (verb == "run") session.run(whole_number(given[0]));
  if (verb == "time")
    write_samples(given[2], session.time(whole_number(given[0]), with_copies(given[1])));
  if (verb == "queue")
    write_samples(given[2], {session.queue(whole_number(given[0]), with_copies(given[1]))});
  if (verb == "events") write_samples(given[1], session.time_by_events(whole_number(given[0])));
  if (verb == "rest") return {wait_until_idle() ? "1" : "0"};
  if (verb == "unload") session.unload();
  return {};
}

// Sends replies to the original standard output. Standard output itself is redirected to standard
// error, so that nothing that a model or a library prints gets between the replies.
class Replies {
 public:
  Replies() : descriptor_(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)) {
    if (descriptor_ < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
      throw Failure(std::string("standard output cannot be redirected: ") + std::strerror(errno));
  }

  void send(const std::string& status, const Fields& fields) const {
    std::string line = status;
    for (const auto& field : fields) line += "\t" + field;
    line += "\n";
    for (size_t sent = 0; sent < line.size();) {
      const ssize_t written = write(descriptor_, line.data() + sent, line.size() - sent);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw Failure(std::string("a reply cannot be sent: ") + std::strerror(errno));
      sent += size_t(written);
    }
  }

 private:
  int descriptor_;
};

// The reply's status and its fields.
std::pair<std::string, Fields> reply(Session& session, const std::string& line) {
  try {
    return {"ok", answer(session, line)};
  } catch (const Fatal& error) {
    return {"fatal", {error.what()}};
  } catch (...) {
    return {"error", {current_error()}};
  }
}

}  // namespace

int serve() {
  const Replies replies;
  Session session;
  for (std::string line; std::getline(std::cin, line);) {
    const auto [status, fields] = reply(session, line);
    replies.send(status, fields);
    if (status == "fatal") _exit(1);  // open work on the device could block a normal exit
    if (line == "quit") break;
  }
  return 0;
}

}  // namespace runner
