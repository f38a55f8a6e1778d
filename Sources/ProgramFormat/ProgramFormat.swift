// ProgramFormat
