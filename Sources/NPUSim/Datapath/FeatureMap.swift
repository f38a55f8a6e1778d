/// A tensor in memory as an operation's registers describe it (IFM, IFM2 or OFM).
struct FeatureMap {
  /// Where the elements are.
  enum Storage: Hashable {
    case memory
    /// In a chaining buffer of U85; `region` is its number.
    case chained
    /// Nowhere: a scalar operand, or accumulators that are not written out.
    case none
  }

  var role: TensorRole
  var storage = Storage.memory
  var region = 0
  /// Extent in elements; of an OFM that is stored transposed, the extent before the permutation.
  var height = 1
  var width = 1
  var depth = 1
  /// Bytes of an element: 1, 2, 4 or 8.
  var elementBytes = 1
  var isSigned = true
  /// NHCWB16: bricks of 16 channels; otherwise NHWC.
  var isBricked = false
  /// Addresses of the four tiles (0 top left, 1 right, 2 below 0, 3 below 1).
  var bases = (0, 0, 0, 0)
  /// Height of tile 0, height of tile 1, width of tiles 0 and 2.
  var height0 = 1
  var height1 = 1
  var width0 = 1
  var strideY = 0
  var strideX = 0
  /// Distance of 16-channel bricks; unused in NHWC.
  var strideC = 0
  var zeroPoint: Int32 = 0

  /// Whether it is in a chaining buffer.
  var isChained: Bool { storage == .chained }

  /// Elements of the map.
  var elements: Int { height &* width &* depth }

  /// Byte distance of horizontal neighbours: NHCWB16 ignores the X stride.
  var pixelStride: Int { isBricked ? 16 &* elementBytes : strideX }

  /// Whether rows of `width` pixels with all their channels lie in memory without gaps.
  var hasDenseRows: Bool { !isBricked && strideX == depth &* elementBytes }

  /// Whether tile 0 holds everything.
  var isOneTile: Bool { height <= height0 && width <= width0 }

  /// The same map with its elements in dense NHWC order from address 0, as chaining buffers hold them.
  var dense: FeatureMap {
    var map = self
    map.isBricked = false
    map.bases = (0, 0, 0, 0)
    map.height0 = height
    map.height1 = height
    map.width0 = width
    map.strideX = depth &* elementBytes
    map.strideY = width &* map.strideX
    return map
  }

  /// A rectangle of one tile.
  struct TileRectangle {
    var base: Int
    /// Coordinates inside the tile.
    var rows: Range<Int>
    var columns: Range<Int>
  }

  /// The non-empty parts of the map in each tile.
  var tileRectangles: [TileRectangle] {
    var result: [TileRectangle] = []
    result.reserveCapacity(1)
    let left = min(width, width0)
    for (columns, top, upper, lower) in [
      (0..<left, height0, bases.0, bases.2),
      (left..<width, height1, bases.1, bases.3),
    ] where !columns.isEmpty {
      let shift = columns.lowerBound == 0 ? 0 : width0
      let tile = columns.lowerBound - shift..<columns.upperBound - shift
      let split = min(height, top)
      result.append(TileRectangle(base: upper, rows: 0..<split, columns: tile))
      if split < height {
        result.append(TileRectangle(base: lower, rows: 0..<height - split, columns: tile))
      }
    }
    return result
  }

  /// Lowest and highest-plus-one byte address of a tile rectangle.
  func bounds(of tile: TileRectangle) -> (lower: Int, upper: Int) {
    var lower = tile.base
    var upper = tile.base
    func extend(_ stride: Int, _ first: Int, _ last: Int) {
      let a = stride &* first
      let b = stride &* last
      lower &+= min(a, b)
      upper &+= max(a, b)
    }
    extend(strideY, tile.rows.lowerBound, tile.rows.upperBound &- 1)
    extend(pixelStride, tile.columns.lowerBound, tile.columns.upperBound &- 1)
    if isBricked {
      // All bricks are whole but the last, which ends with the last channel.
      let last = (depth &- 1) / 16
      let whole = 16 &* elementBytes
      let rest = (depth &- last &* 16) &* elementBytes
      lower &+= min(0, last &* strideC)
      upper &+=
        last == 0 ? rest : max(whole, (last &- 1) &* strideC &+ whole, last &* strideC &+ rest)
    } else {
      upper &+= depth &* elementBytes
    }
    return (lower, upper)
  }
}

/// A feature map whose every address was checked: tile addresses are pointers.
struct MappedTensor {
  var map: FeatureMap
  /// The smallest byte range around each tile part in use.
  let spans: [MemorySpan]
  /// Address of tile coordinate (0, 0), channel 0, for the four tiles.
  private var tiles:
    (
      UnsafeMutableRawPointer, UnsafeMutableRawPointer, UnsafeMutableRawPointer,
      UnsafeMutableRawPointer
    )

  /// Checks all bytes the map covers and, for inputs, reports those never written.
  init(
    _ map: FeatureMap, memory: MemoryMap, writing: Bool
  ) throws(Fault) {
    self.map = map
    guard let window = memory[map.region] else {
      throw .unmappedRegion(role: map.role, region: map.region)
    }
    var spans: [MemorySpan] = []
    for tile in map.tileRectangles where !tile.rows.isEmpty {
      let bounds = map.bounds(of: tile)
      spans.append(
        try memory.span(
          region: map.region, lower: bounds.lower, upper: bounds.upper, role: map.role,
          writing: writing))
    }
    self.spans = spans
    let start = window.bank.base + window.offset
    // Base registers of tiles that are not reached may hold anything.
    let right = map.width > map.width0
    tiles = (
      start + map.bases.0,
      start + (right ? map.bases.1 : 0),
      start + (map.height > map.height0 ? map.bases.2 : 0),
      start + (right && map.height > map.height1 ? map.bases.3 : 0)
    )
  }

  /// A map that lies within a bank of its own, from offset 0 on.
  init(_ map: FeatureMap, within bank: MemoryBank) {
    self.map = map
    spans = []
    tiles = (bank.base, bank.base, bank.base, bank.base)
  }

  /// The address of element (y, x, c).
  @inline(__always)
  func element(_ y: Int, _ x: Int, _ c: Int) -> UnsafeMutableRawPointer {
    let channel =
      map.isBricked
      ? (c >> 4) &* map.strideC &+ (c & 15) &* map.elementBytes : c &* map.elementBytes
    return pixel(y, x).address + channel
  }

  /// The address of pixel (y, x), channel 0, and how many pixels to its right are in the same tile.
  @inline(__always)
  func pixel(_ y: Int, _ x: Int) -> (address: UnsafeMutableRawPointer, run: Int) {
    var row = y
    var column = x
    let base: UnsafeMutableRawPointer
    let run: Int
    if x < map.width0 {
      run = map.width0 &- x
      if y < map.height0 {
        base = tiles.0
      } else {
        base = tiles.2
        row &-= map.height0
      }
    } else {
      run = Int.max
      column &-= map.width0
      if y < map.height1 {
        base = tiles.1
      } else {
        base = tiles.3
        row &-= map.height1
      }
    }
    return (base + (row &* map.strideY &+ column &* map.pixelStride), run)
  }

  /// Calls the body with maximal contiguous runs of row `y`, columns `x`, channels `c`: the address, the
  /// position of the run in a dense `[x][c]` row of `c.count` channels, and its elements.
  @inline(__always)
  func forEachRun(
    y: Int, x: Range<Int>, c: Range<Int>, _ body: (UnsafeMutableRawPointer, Int, Int) -> Void
  ) {
    let channels = c.count
    let bytes = map.elementBytes
    var column = x.lowerBound
    var dense = 0
    while column < x.upperBound {
      var (address, run) = pixel(y, column)
      run = min(run, x.upperBound &- column)
      column &+= run
      if !map.isBricked {
        if map.strideX == channels &* bytes && channels == map.depth {
          body(address, dense, run &* channels)
          dense &+= run &* channels
        } else {
          for _ in 0..<run {
            body(address + c.lowerBound &* bytes, dense, channels)
            address += map.strideX
            dense &+= channels
          }
        }
      } else {
        for _ in 0..<run {
          var channel = c.lowerBound
          while channel < c.upperBound {
            let inBrick = channel & 15
            let n = min(16 &- inBrick, c.upperBound &- channel)
            body(address + ((channel >> 4) &* map.strideC &+ inBrick &* bytes), dense, n)
            dense &+= n
            channel &+= n
          }
          address += map.pixelStride
        }
      }
    }
  }

  /// Calls the body with address ranges that together cover exactly the bytes of the map.
  func forEachByteRange(_ body: (UnsafeMutableRawPointer, Int) -> Void) {
    let rowBytes = map.width &* map.depth &* map.elementBytes
    if map.hasDenseRows, map.strideY == rowBytes, map.height <= map.height0,
      map.width <= map.width0
    {
      body(pixel(0, 0).address, rowBytes &* map.height)
      return
    }
    for y in 0..<map.height {
      forEachRun(y: y, x: 0..<map.width, c: 0..<map.depth) { address, _, n in
        body(address, n &* map.elementBytes)
      }
    }
  }
}
