// Texts taken apart.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <vector>

#include "failure.h"

namespace runner {

// The parts between separators, of which an empty text has one. The last of at most `most` parts has
// all that is left.
inline std::vector<std::string> split(const std::string& text, char separator,
                                      size_t most = SIZE_MAX) {
  std::vector<std::string> parts;
  size_t start = 0;
  for (size_t end; parts.size() + 1 < most &&
                   (end = text.find(separator, start)) != std::string::npos;
       start = end + 1)
    parts.push_back(text.substr(start, end - start));
  parts.push_back(text.substr(start));
  return parts;
}

// A number written in digits alone. Throws Failure for anything else, and one that does not fit.
inline int64_t whole_number(const std::string& text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc() || read.ptr != end || number < 0)
    throw Failure("'" + text + "' is not a whole number");
  return number;
}

}  // namespace runner
