/// The debugger's services (Arm semihosting, document 2.0): text out and the end of the run.
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

/// Writes a text to the host's console.
void semihosting_write(const char *text);

/// Ends the emulator with this exit code.
void semihosting_exit(int code);

#endif
