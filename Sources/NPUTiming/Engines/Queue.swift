/// A first-in first-out queue whose elements keep their running number.
struct Queue<Element> {
  private var items: [Element] = []
  private var head = 0
  /// Number of the first element that is still there.
  private(set) var first = 0

  /// One past the number of the last element.
  var end: Int { first + items.count - head }
  var isEmpty: Bool { head == items.count }
  var front: Element? { isEmpty ? nil : items[head] }

  mutating func push(_ element: Element) { items.append(element) }

  /// The element with a number, if it is there.
  subscript(number: Int) -> Element? {
    let index = head + number - first
    return number >= first && index < items.count ? items[index] : nil
  }

  mutating func pop() {
    head += 1
    first += 1
    if head == items.count {
      items.removeAll(keepingCapacity: true)
      head = 0
    } else if head >= 256 && head * 2 >= items.count {
      items.removeFirst(head)
      head = 0
    }
  }

  /// Drops elements before a number.
  mutating func drop(before number: Int) {
    while first < number, !isEmpty { pop() }
  }
}

/// A growing amount over time, such as bytes that have arrived.
struct Curve {
  private var points = Queue<(amount: Int, time: Int)>()
  private(set) var total = 0
  private var base = (amount: 0, time: 0)

  /// Adds an amount at a time not before the last one.
  mutating func add(_ amount: Int, at time: Int) {
    total += amount
    points.push((total, time))
  }

  /// When the amount was reached, or nil if it was not yet. Amounts must not fall from call to call.
  mutating func time(of amount: Int) -> Int? {
    if amount <= base.amount { return base.time }
    while let point = points.front {
      if point.amount >= amount { return point.time }
      base = point
      points.pop()
    }
    return nil
  }
}
