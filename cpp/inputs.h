// Matches inputs to a model's parameters.
#pragma once

#include <string>
#include <vector>

namespace runner {

struct Parameter {
  std::string name;
  bool is_optional = false;
};

// The place among `parameters` of each named input. A name may also be a place, as a whole number.
// Throws Failure for an unknown name, an input that is given twice, and a missing input that is not
// optional.
std::vector<size_t> find_places(const std::vector<std::string>& names,
                                const std::vector<Parameter>& parameters);

}  // namespace runner
