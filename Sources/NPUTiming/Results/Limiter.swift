/// What limits an operation.
public enum Limiter: String, Sendable, Hashable, CaseIterable {
  case mac = "MAC"
  case output = "output unit"
  case decoder = "weight decode"
  case weights = "weight fetch"
  case ifm = "IFM read"
  case ofm = "OFM write"
  case dma = "DMA"
  case dependency = "dependency"
  case command = "command overhead"
}
