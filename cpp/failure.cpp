#include "failure.h"

#include <c10/util/Exception.h>

#include <sstream>

namespace runner {

std::string current_error() {
  std::string text;
  try {
    throw;
  } catch (const c10::Error& error) {
    text = error.what_without_backtrace();
  } catch (const std::exception& error) {
    text = error.what();
  } catch (...) {
    text = "an unknown error";
  }
  // TorchScript's interpreter puts the cause on the last line with this prefix, after a traceback.
  const std::string cause = "RuntimeError: ";
  if (const auto start = text.rfind(cause); start != std::string::npos)
    text = text.substr(start + cause.size());
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.find_first_not_of(" \t\r") != std::string::npos) return line;
  return "no message";
}

}  // namespace runner
