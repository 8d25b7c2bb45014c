# nothing yet
