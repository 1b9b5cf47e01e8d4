// Which of a model's parameters each input is for.
#pragma once

#include <string>
#include <vector>

namespace runner {

struct Parameter {
  std::string name;
  bool is_optional = false;
};

// The place among `parameters` of the input of each name. A name that is a whole number is a place
// itself. Throws Failure for a name that is neither, an input that is given twice, and one that is
// missing and not optional.
std::vector<size_t> find_places(const std::vector<std::string>& names,
                                const std::vector<Parameter>& parameters);

}  // namespace runner
