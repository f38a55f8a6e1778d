import Testing
@Suite struct PassesPlaceholder {}
