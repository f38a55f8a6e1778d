// NPUTiming
