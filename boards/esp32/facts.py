"""ESP32 without PSRAM (WROOM-32 and the like), stock firmware. Fields: host_tools/boards/facts.py.

The heap was measured with firmware 1.27 in an emulator: it is in two pieces, the larger 94,208
bytes. The memory that Bluetooth gives up is not counted. The generic board has no LED of its own;
most development boards have one at this pin.

That firmware ends at 0x1AE8E0 of the flash, and its partition, which the file system follows, at
0x200000. What is mapped from there appears where the firmware's own mapping of itself ends.
"""

CHIP = "ESP32"
ESPTOOL_CHIP = "esp32"
FIRMWARE = "ESP32_GENERIC"
PLATFORM = "esp32"
MPY_ARCH = "xtensawin"
USB_IDS = ()
FLASH_SIZE = 0x400000
FLASH_FREE = (0x1B0000, 0x200000)
FLASH_MAP = (0x3F440000, 0x40210000)
FIRMWARE_CALLS = ("27fdf0c2d93b5ae235f29731fbc413ca705d599d56b1ef04f0f741778c444884",
                  0x4016262C, 0x401453AC)
FLASH_OFFSET = 0x1000
UF2_FAMILY = None
UF2_BOARD = None
CPU_HZ = 240_000_000
LED_PIN = 2
LED_LIT = 1
HEAP_CONNECTED = 147984
WIFI_POWER_SAVE = "PM_NONE"
TICK_MS = 10
TICK_REMEDY = "busy turns"
