// EthosUISA
