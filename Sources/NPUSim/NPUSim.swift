// NPUSim
