import Driver
import Foundation

exit(SwiftletTool.run(Array(CommandLine.arguments.dropFirst())))
