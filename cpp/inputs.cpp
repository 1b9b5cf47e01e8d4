#include "inputs.h"

#include <algorithm>

#include "failure.h"

namespace runner {

namespace {

bool is_for(const std::string& name, const std::vector<Parameter>& parameters, size_t place) {
  return name == parameters[place].name || name == std::to_string(place);
}

std::string listed(const std::vector<Parameter>& parameters) {
  std::string names;
  for (const auto& parameter : parameters) names += (names.empty() ? "" : ", ") + parameter.name;
  return names.empty() ? "none" : names;
}

}  // namespace

std::vector<size_t> find_places(const std::vector<std::string>& names,
                                const std::vector<Parameter>& parameters) {
  std::vector<size_t> places;
  for (const auto& name : names) {
    size_t place = 0;
    while (place < parameters.size() && !is_for(name, parameters, place)) ++place;
    if (place == parameters.size())
      throw Failure("the model has no input '" + name + "'; it takes: " + listed(parameters));
    places.push_back(place);
  }
  for (size_t place = 0; place < parameters.size(); ++place) {
    const auto given = std::count(places.begin(), places.end(), place);
    if (given > 1) throw Failure("input '" + parameters[place].name + "' is given twice");
    if (given == 0 && !parameters[place].is_optional)
      throw Failure("input '" + parameters[place].name + "' is missing; the model takes: " +
                    listed(parameters));
  }
  return places;
}

}  // namespace runner
