// TargetModel
