// Codegen
