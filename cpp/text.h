// Parses text.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <vector>

#include "failure.h"

namespace runner {

// The parts between separators; an empty text has one part. There are at most `most` parts, and the
// last one has the rest of the text.
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

// A number written only in digits. Throws Failure for anything else, and for a number that does not
// fit.
inline int64_t whole_number(const std::string& text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc() || read.ptr != end || number < 0)
    throw Failure("'" + text + "' is not a whole number");
  return number;
}

}  // namespace runner
