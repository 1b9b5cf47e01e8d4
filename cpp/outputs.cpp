#include "outputs.h"

#include <ATen/core/Dict.h>
#include <ATen/core/function_schema.h>
#include <ATen/core/List.h>
#include <ATen/core/jit_type.h>

#include <set>

#include "failure.h"

namespace runner {

namespace {

std::string below(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

std::string key_name(const c10::IValue& key) {
  if (key.isString()) return key.toStringRef();
  if (key.isInt()) return std::to_string(key.toInt());
  throw Failure("a dictionary of outputs has a key that is a " + key.type()->str() +
                "; use strings or integers");
}

// The name of a tuple's element: that of its field if it is a named tuple, else its position.
std::string element_name(const c10::TupleType& type, size_t index) {
  return type.schema() ? type.schema()->arguments()[index].name() : std::to_string(index);
}

void add(const c10::IValue& value, const std::string& path, NamedTensors& found) {
  if (value.isNone()) return;
  if (value.isTensor()) {
    found.push_back({path, value.toTensor()});
  } else if (value.isTuple()) {
    const auto type = value.type()->expect<c10::TupleType>();
    const auto& elements = value.toTupleRef().elements();
    for (size_t index = 0; index < elements.size(); ++index)
      add(elements[index], below(path, element_name(*type, index)), found);
  } else if (value.isList()) {
    const auto elements = value.toListRef();
    for (size_t index = 0; index < elements.size(); ++index)
      add(elements[index], below(path, std::to_string(index)), found);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict())
      add(entry.value(), below(path, key_name(entry.key())), found);
  } else {
    throw Failure((path.empty() ? "the output" : "output '" + path + "'") + " is a " + value.type()->str() +
                  ", not a tensor");
  }
}

}  // namespace

NamedTensors flatten(const c10::IValue& returned) {
  NamedTensors found;
  add(returned, "", found);
  if (found.empty()) throw Failure("the model returned no tensor");
  std::set<std::string> names;
  for (const auto& named : found)
    if (!names.insert(named.name).second)
      throw Failure("two outputs have the name '" + named.name + "'");
  return found;
}

}  // namespace runner
