/// The text models are calibrated with when the user names none.
enum CalibrationText {
  /// Plain English of several kinds: a story, a dialogue, instructions, facts, a list.
  static let plainEnglish = """
    Once upon a time a small boat lived in a quiet harbour. Every morning the boat watched the big \
    ships leave. "I want to see the sea too," said the boat. One day an old man came with a bucket of \
    blue paint. He painted the boat from one end to the other and put a white sail on it. The boat was \
    very happy. They went out together, past the lighthouse and the rocks, until the land was only a \
    thin line. The wind was warm and the waves were friendly. In the evening they came home with three \
    fish and a story to tell.

    "Did you lock the door?" Anna asked. "I think so," said Ben, "but let us go back and look." They \
    walked up the hill again. The door was open, and a cat was asleep on the kitchen table. They both \
    laughed. "Good thing we came back," she said.

    To make bread, mix flour, water, salt and a little yeast. Wait an hour until the dough has doubled. \
    Heat the oven to 220 degrees. Bake the loaf for thirty minutes, then let it cool on a rack before \
    you cut it.

    The river is about 1,200 kilometres long and flows through four countries. Its source lies in the \
    mountains in the south, where snow falls from October to May. In the 19th century engineers built \
    canals to connect it with the northern ports. Today most of the freight goes by rail, and the old \
    locks are used by small boats and by people who like to fish.

    The committee met on Tuesday to discuss the budget for the coming year. Several members said that \
    the costs of heating and repairs had risen faster than expected. After a long debate the proposal \
    was accepted by nine votes to four, with two members absent.

    Things to bring: a warm coat, good shoes, a map, two bottles of water, some apples, a small knife, \
    matches, a torch with new batteries. Please be at the station at 7:45. If it rains we will meet in \
    the cafe across the street instead.

    A computer keeps numbers as patterns of ones and zeros. A program is a list of instructions that \
    says which numbers to add, compare or copy, and in which order. When the program has a mistake, the \
    result can be wrong even though every single step was carried out exactly as written.

    The little girl looked at the sky. There were so many stars that she could not count them. "Who put \
    them there?" she asked. Her grandmother smiled and said, "Nobody knows, but everyone may look at \
    them." Then they went inside, because it was late and the soup was getting cold.
    """
}
