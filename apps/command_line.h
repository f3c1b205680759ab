// The command line of the program: see command_line.cpp for what each command takes.
#pragma once

namespace gradus {

// Parses and runs; returns the exit code. UsageError for a wrong command line; otherwise the errors of the command.
int run_command_line(int argc, char** argv);

}  // namespace gradus
