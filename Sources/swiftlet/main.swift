import Driver

